"""The daemon's door answers each request with a line, also those that it refuses."""

import socket

import pytest

from lab.control import SOCKET, ControlServer, request
from lab.errors import DaemonAway, LabError


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(handle):
        server = ControlServer(tmp_path, handle)
        server.start()
        servers.append(server)
        return tmp_path

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_answer_is_what_the_handler_says(serve):
    state = serve(lambda asked: {"parts": [asked["do"]]})

    assert request(state, do="status") == {"parts": ["status"]}


def test_what_the_handler_refuses_is_raised_with_its_hint(serve):
    def refuse(_asked):
        raise LabError("there is no part 'x'", hint="the parts are: y")

    with pytest.raises(LabError, match="there is no part 'x'") as refused:
        request(serve(refuse), do="stop", part="x")

    assert refused.value.hint == "the parts are: y"


def test_a_request_that_lacks_a_field_is_refused_not_dropped(serve):
    with pytest.raises(LabError, match="not a request: KeyError: 'part'"):
        request(serve(lambda asked: {"x": asked["part"]}), do="stop")


def test_what_is_not_json_is_refused_not_dropped(serve):
    state = serve(lambda _asked: {})
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(state / SOCKET))
        connection.sendall(b"hello\n")

        assert b"not a request" in connection.makefile("rb").readline()


def test_only_root_may_knock(serve):
    state = serve(lambda _asked: {})

    assert (state / SOCKET).stat().st_mode & 0o077 == 0


def test_no_daemon_is_said_to_be_away(tmp_path):
    with pytest.raises(DaemonAway, match="does not answer"):
        request(tmp_path, do="status")
