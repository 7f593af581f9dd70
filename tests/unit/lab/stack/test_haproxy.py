"""HAProxy's configuration and the commands by which servers come and go."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.cloud.door import Cloud, CloudInstance
from lab.hosts.interfaces import Instance
from lab.stack import balancers, haproxy
from lab.stack.haproxy import RuntimeRefused, Server, parse_servers, plan, render

STATE = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port
3 nodes 1 i-1 198.18.16.100 2 0 1 30080
3 nodes 2 i-2 198.18.32.100 0 0 1 30080
3 nodes 3 i-3 198.18.48.100 0 1 1 30080

"""
NAMES = st.sampled_from(["i-1", "i-2", "i-3", "i-4"])
WANTED = st.dictionaries(NAMES, st.sampled_from(["198.18.16.100:30080", "198.18.16.101:30080"]))
PRESENT = st.dictionaries(
    NAMES, st.builds(Server, st.sampled_from(["198.18.16.100:30080"]), st.booleans(), st.booleans())
)


def test_the_configuration_states_checks_retries_and_timeouts() -> None:
    text = render("198.18.16.20", Path("/run/admin.sock"))

    for line in (
        "bind 198.18.16.20:80",
        "timeout connect 500ms",
        "retries 2",
        "option redispatch 1",
        "http-check send meth GET uri /readyz hdr host balancer",
        "http-request use-service prometheus-exporter if { path /metrics }",
    ):
        assert f"\n    {line}\n" in text
    assert haproxy.CHECK == "inter 1s fall 2 rise 2"


def test_a_log_line_is_json_with_the_request_id() -> None:
    filled = re.sub(r"%(\[[^]]*\]|[A-Za-z]+)", "1", haproxy.LOG_FORMAT)

    assert {"request_id", "status", "server", "end"} <= set(json.loads(filled))


def test_servers_are_read_with_their_health_and_maintenance() -> None:
    assert parse_servers(STATE) == {
        "i-1": Server("198.18.16.100:30080", up=True, leaving=False),
        "i-2": Server("198.18.32.100:30080", up=False, leaving=False),
        "i-3": Server("198.18.48.100:30080", up=False, leaving=True),
    }


def test_an_answer_that_is_no_list_is_refused_rather_than_read_as_empty() -> None:
    with pytest.raises(RuntimeRefused, match="no header"):
        parse_servers("Can't find backend.\n")


def test_a_server_that_comes_is_down_until_it_has_passed_its_checks() -> None:
    assert plan({"i-9": "198.18.16.101:30080"}, {}) == [
        "add server nodes/i-9 198.18.16.101:30080 check inter 1s fall 2 rise 2",
        "enable server nodes/i-9; set server nodes/i-9 health down; enable health nodes/i-9",
    ]


def test_a_server_that_goes_may_end_its_requests_until_the_next_round() -> None:
    leaving = plan({}, {"i-1": Server("a:1", up=True, leaving=False)})
    still_there = plan({}, {"i-1": Server("a:1", up=False, leaving=True)})

    assert leaving == ["disable server nodes/i-1", "del server nodes/i-1"]
    assert still_there == ["shutdown sessions server nodes/i-1", "del server nodes/i-1"]


@given(WANTED, PRESENT)
def test_rounds_lead_to_exactly_the_servers_wanted(wanted: dict[str, str], present: dict[str, Server]) -> None:
    # A wanted server in maintenance is left to whoever put it there; all others must come to be as wanted.
    for _ in range(2):
        for command in plan(wanted, present):
            words = command.split()
            name = words[2].removeprefix("nodes/") if words[1] == "server" else ""
            if words[0] == "add":
                present[name] = Server(words[3], up=False, leaving=False)
            elif words[0] == "del":
                del present[name]

    assert {name: server.address for name, server in present.items()} == wanted
    assert plan(wanted, present) == []


def instance(number: int, state: str, group: str = "workers-us-east-1a") -> CloudInstance:
    address = IPv4Address("198.18.16.100") + number
    return CloudInstance(Instance(f"i-{number}", "us-east-1a", group, address, IPv4Network("198.18.17.0/26")), state)


def test_only_running_instances_of_a_group_are_targets() -> None:
    cloud = Cloud(
        1, (instance(1, "running"), instance(2, "pending"), instance(3, "shutting-down"), instance(4, "running", ""))
    )

    assert balancers.targets(cloud) == {"i-1": "198.18.16.101:30080"}
