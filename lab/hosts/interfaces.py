"""The seams between the lab's rooms: hosts and parts (lab.hosts), instances (lab.cloud), nodes (lab.kubernetes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Subnet:
    """A bridge in the fabric: a zone's subnet, or `control`, which has no zone."""

    name: str
    zone: str
    network: IPv4Network
    hosts: IPv4Network

    @property
    def gateway(self) -> IPv4Address:
        """The fabric's own address on the bridge."""
        return self.hosts.network_address + 1


@dataclass(frozen=True, slots=True)
class Host:
    """A network namespace with one address in *subnet*; *pods* is routed to it by the fabric, if given."""

    name: str
    subnet: Subnet
    address: IPv4Address
    pods: IPv4Network | None = None

    @property
    def netns(self) -> str:
        """Its namespace, as `ip netns` names it."""
        return f"gd-{self.name}"


@dataclass(frozen=True, slots=True)
class Part:
    """
    One long-running program of the lab, run on *host* (None: the machine itself) in a cgroup of its own.

    *ready* is awaited for *ready_within* seconds; a part that ends or is not ready in time is an error that shows the
    end of its log. *cgroup* is relative to the lab's own (`gameday/`) and defaults to `parts/<name>`. *user* runs it
    as somebody else. *essential* parts are restarted by nobody: `lab status` says that they died.
    """

    name: str
    argv: tuple[str, ...]
    host: Host | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: str | None = None
    cgroup: str | None = None
    ready: Callable[[], bool] | None = None
    ready_within: float = 30.0
    stop_within: float = 10.0


@dataclass(frozen=True, slots=True)
class PartStatus:
    """
    How a part fares now: *state* is starting, running, stopped or dead; memory in bytes; cpu in seconds used.

    *reason* says why a part that is dead died.
    """

    name: str
    host: str
    zone: str
    state: str
    pid: int | None
    memory: int
    cpu: float
    reason: str = ""


class Hosts(Protocol):
    """Makes hosts and takes them away; both idempotent."""

    def add(self, host: Host) -> None:
        """*host* is there, linked and addressed."""
        ...

    def remove(self, name: str) -> None:
        """The host *name* is gone."""
        ...


class Parts(Protocol):
    """Starts and stops parts. `start` returns when the part is ready, or raises PartFailed."""

    def start(self, part: Part) -> None:
        """*part* runs and is ready; PartFailed with the end of its log if not."""
        ...

    def stop(self, name: str, *, kill: bool = False) -> None:
        """The part has ended: asked first, unless *kill*."""
        ...

    def status(self) -> list[PartStatus]:
        """Every part that was started, also those that have ended."""
        ...


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance as the cloud knows it."""

    id: str
    zone: str
    group: str
    address: IPv4Address
    pods: IPv4Network
    labels: Mapping[str, str] = field(default_factory=dict)


class Nodes(Protocol):
    """Makes EC2 instances real: `boot` returns when the machine runs (its node joins by itself), `destroy` is instant."""

    def boot(self, instance: Instance) -> None:
        """The machine runs; its node joins by itself."""
        ...

    def destroy(self, instance_id: str) -> None:
        """Everything on the machine is dead, at once."""
        ...

    def alive(self) -> frozenset[str]:
        """The ids of the machines that run."""
        ...
