"""HAProxy as the lab runs it: its configuration, and its runtime API, by which servers come and go without a reload."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

BACKEND = "nodes"
PORT = 80
METRICS_PORT = 8404
CHECK = "inter 1s fall 2 rise 2"
LIMITS = {"connect": "500ms", "client": "30s", "server": "5s", "queue": "1s", "check": "2s", "http-keep-alive": "30s"}
# JSON, so that a user's request can be followed from the balancer to the pods by its id.
LOG_FORMAT = (
    '{"at":%Ts.%ms,"request_id":"%[var(txn.id),json]","method":"%HM","path":"%[var(txn.path),json]",'
    '"status":%ST,"milliseconds":%Ta,"connect_milliseconds":%Tc,"bytes":%B,"server":"%s","client":"%ci","retries":"%rc",'
    '"end":"%tsc"}'
)


class RuntimeRefused(LabError):
    """HAProxy did not do what its runtime API was asked for."""


def render(address: str, admin: Path) -> str:
    """The configuration of a balancer at *address* with its runtime API at *admin*; it starts without any server."""
    timeouts = "\n".join(f"    timeout {name} {value}" for name, value in LIMITS.items())
    quoted = LOG_FORMAT.replace("\\", "\\\\").replace('"', '\\"').replace(" ", "\\ ")
    return f"""\
global
    log stdout format raw local0 info
    stats socket {admin} mode 600 level admin
    nbthread 1
    maxconn 4000
    user haproxy
    group haproxy
defaults
    mode http
    log global
    option dontlognull
    option redispatch 1
    retries 2
    # Nothing was sent when a connection failed, so every method may be tried again; all else is the client's decision.
    retry-on conn-failure
{timeouts}
frontend users
    bind {address}:{PORT}
    option forwardfor
    http-request set-header x-request-id %[uuid()] unless {{ req.hdr(x-request-id) -m found }}
    http-request set-var(txn.id) req.hdr(x-request-id)
    http-request set-var(txn.path) path
    log-format {quoted}
    default_backend {BACKEND}
frontend metrics
    bind {address}:{METRICS_PORT}
    no log
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request return status 200 content-type text/plain string ok if {{ path /healthz }}
    http-request return status 404
backend {BACKEND}
    balance leastconn
    option httpchk
    http-check send meth GET uri /readyz hdr host balancer
    http-check expect status 200
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as HAProxy has it: *up* by its health checks, *leaving* when it is in maintenance."""

    address: str
    up: bool
    leaving: bool


def parse_servers(state: str) -> dict[str, Server]:
    """The servers by name, from the answer to `show servers state`."""
    lines = [line.split() for line in state.splitlines() if line.strip()]
    header = next((line[1:] for line in lines if line[0] == "#"), None)
    if header is None:
        raise RuntimeRefused(f"HAProxy's list of servers has no header: {state[:200]!r}")
    found = {}
    for line in lines:
        # The first line is the version of the format, and stands alone.
        row = dict(zip(header, line, strict=False))
        if line[0] == "#" or "srv_port" not in row:
            continue
        maintained = bool(int(row["srv_admin_state"]) & 1)
        up = row["srv_op_state"] == "2"
        found[row["srv_name"]] = Server(f"{row['srv_addr']}:{row['srv_port']}", up, maintained)
    return found


def plan(wanted: Mapping[str, str], present: Mapping[str, Server]) -> list[str]:
    """
    The commands that lead from the servers *present* to those *wanted* (name: address:port).

    A server that came must pass its checks before it gets a request. One that goes gets no more, and has until the
    next round to end those that it has: only then can it be deleted, so the last command may fail at first.
    """
    commands = []
    for name in sorted(present):
        server = f"{BACKEND}/{name}"
        if wanted.get(name) == present[name].address:
            continue
        first = "shutdown sessions server" if present[name].leaving else "disable server"
        commands += [f"{first} {server}", f"del server {server}"]
    for name in sorted(set(wanted) - set(present)):
        server = f"{BACKEND}/{name}"
        commands += [
            f"add server {server} {wanted[name]} check {CHECK}",
            # In one line: enabling makes it up, and no request may come between.
            f"enable server {server}; set server {server} health down; enable health {server}",
        ]
    return commands


@dataclass(frozen=True, slots=True)
class Runtime:
    """HAProxy's runtime API at the socket *path*."""

    path: Path

    def ask(self, command: str) -> str:
        """The answer to *command*; raises OSError when nobody listens."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2.0)
            connection.connect(str(self.path))
            connection.sendall(f"{command}\n".encode())
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer.decode()

    def servers(self) -> dict[str, Server]:
        """The servers by name."""
        return parse_servers(self.ask(f"show servers state {BACKEND}"))

    def reconcile(self, wanted: Mapping[str, str]) -> list[str]:
        """The servers are those *wanted*, but for those still ending; the commands given. Raises RuntimeRefused."""
        given = []
        for command in plan(wanted, self.servers()):
            answer = self.ask(command).strip()
            given.append(command)
            # What can be said for success differs by command and version; errors of adding are what matters.
            if command.startswith("add server") and "registered" not in answer:
                raise RuntimeRefused(f"{self.path}: {command}: {answer}")
        return given
