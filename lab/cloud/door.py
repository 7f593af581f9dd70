"""The actuators' side of the door in the cloud's tap."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import httpx

from lab.errors import LabError
from lab.hosts.interfaces import Instance


class CloudUnreachable(LabError):
    """The cloud did not answer, or not sensibly; nothing may be concluded from it."""


@dataclass(frozen=True, slots=True)
class CloudInstance:
    """An instance with the state that EC2 says it is in; terminated ones are not told of."""

    instance: Instance
    state: str


@dataclass(frozen=True, slots=True)
class Cloud:
    """What the cloud wants, as of *generation*; *subnets* and *acls* in the shapes of EC2's `describe_*`."""

    generation: int = 0
    instances: tuple[CloudInstance, ...] = ()
    subnets: tuple[dict[str, Any], ...] = ()
    acls: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Machines:
    """What is real: machines that run, machines wholly gone, and boots that failed (id: why)."""

    alive: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    failed: dict[str, str] = field(default_factory=dict)


def _instance(said: dict[str, Any]) -> CloudInstance:
    address, pods = IPv4Address(said["address"]), IPv4Network(said["pods"])
    instance = Instance(said["id"], said["zone"], said["group"], address, pods, dict(said["labels"]))
    return CloudInstance(instance, said["state"])


def parse(said: dict[str, Any]) -> Cloud:
    """The cloud as the door tells of it."""
    instances = tuple(_instance(each) for each in said["instances"])
    return Cloud(int(said["generation"]), instances, tuple(said["subnets"]), tuple(said["acls"]))


class Door:
    """Speaks with the cloud at *endpoint*; every call waits up to *wait* seconds for a change after a generation."""

    def __init__(self, endpoint: str) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each poll would bury what matters
        # The lab's addresses are never behind a proxy, whatever the environment says.
        self._client = httpx.Client(base_url=endpoint, timeout=5.0, trust_env=False)

    def healthy(self) -> bool:
        """Whether the cloud answers."""
        try:
            return self._client.get("/_lab/health").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def sync(self, machines: Machines, after: int, wait: float) -> Cloud:
        """Tells what is real and gives what is wanted."""
        said = {"alive": sorted(machines.alive), "gone": sorted(machines.gone), "failed": machines.failed}
        return self._ask("POST", "/_lab/sync", after, wait, said)

    def watch(self, after: int, wait: float) -> Cloud:
        """Gives what is wanted."""
        return self._ask("GET", "/_lab/watch", after, wait, None)

    def _ask(self, method: str, path: str, after: int, wait: float, said: dict[str, Any] | None) -> Cloud:
        query = {"after": str(after), "wait": str(wait)}
        try:
            answer = self._client.request(method, path, params=query, json=said, timeout=wait + 5.0)
            answer.raise_for_status()
            return parse(answer.json())
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise CloudUnreachable(f"{method} {self._client.base_url}{path}: {error!r}") from error

    def close(self) -> None:
        """Ends its connections."""
        self._client.close()
