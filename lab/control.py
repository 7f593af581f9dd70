"""
The daemon's door: a Unix socket that takes one request a connection, a JSON object in a line, and answers with one.

Requests: `{"do": "status"}`, `{"do": "stop", "part": …, "kill": bool}`, `{"do": "start", "part": …}`, `{"do": "down"}`.
Answers: `{"ok": true, …}` or `{"ok": false, "error": …, "hint": …}`.
"""

from __future__ import annotations

import json
import socket
import socketserver
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

from lab.errors import DaemonAway, LabError

SOCKET = "control.sock"
_READ_WITHIN = 5.0

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class ControlServer(socketserver.ThreadingUnixStreamServer):
    """Serves requests to *handle* in threads of their own; `server_close` waits until all are answered."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, state: Path, handle: Handler) -> None:
        path = state / SOCKET
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Connection)
        path.chmod(0o600)
        self.handle_line = handle

    def start(self) -> None:
        """Serves from now on."""
        Thread(target=self.serve_forever, args=(0.1,), name="control", daemon=True).start()


class _Connection(socketserver.StreamRequestHandler):
    timeout = _READ_WITHIN
    server: ControlServer

    def handle(self) -> None:
        try:
            answer = {"ok": True, **self.server.handle_line(json.loads(self.rfile.readline()))}
        except LabError as error:
            answer = {"ok": False, "error": error.message, "hint": error.hint}
        except (ValueError, KeyError, TimeoutError) as error:
            answer = {"ok": False, "error": f"not a request: {type(error).__name__}: {error}", "hint": ""}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


def request(state: Path, within: float = 10.0, /, **fields: Any) -> dict[str, Any]:
    """The daemon's answer; raises LabError with what it says is wrong, DaemonAway when it says nothing *within* seconds."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(within)
            connection.connect(str(state / SOCKET))
            with connection.makefile("rwb") as stream:
                stream.write(json.dumps(fields).encode() + b"\n")
                stream.flush()
                line = stream.readline()
    except OSError as error:
        raise DaemonAway(f"the lab's daemon does not answer: {error}") from error
    if not line:
        raise DaemonAway("the lab's daemon ended without an answer")
    answer: dict[str, Any] = json.loads(line)
    if not answer.pop("ok"):
        raise LabError(answer["error"], hint=answer["hint"])
    return answer
