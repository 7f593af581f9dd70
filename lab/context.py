"""What every component of the lab is given: where it may write, how it starts things, and what was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lab.hosts.interfaces import Host, Hosts, Parts, Subnet

STATE = Path(os.environ.get("LAB_STATE", "/var/lib/gameday/lab"))
REGION = "us-east-1"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
SERVICES = IPv4Network("198.19.0.0/16")
LINK = IPv4Network("198.18.0.0/30")


def _zone(name: str, third: int) -> Subnet:
    return Subnet(name, name, IPv4Network(f"198.18.{third}.0/20"), IPv4Network(f"198.18.{third}.0/24"))


CONTROL = Subnet("control", "", IPv4Network("198.18.1.0/24"), IPv4Network("198.18.1.0/24"))
SUBNETS = {
    "control": CONTROL,
    "us-east-1a": _zone("us-east-1a", 16),
    "us-east-1b": _zone("us-east-1b", 32),
    "us-east-1c": _zone("us-east-1c", 48),
}


def fixed_host(name: str, subnet: str, number: int) -> Host:
    """The host *name* at address *number* of *subnet*'s hosts."""
    where = SUBNETS[subnet]
    return Host(name, where, IPv4Address(int(where.hosts.network_address) + number))


APISERVER = fixed_host("apiserver", "control", 10)
DNS = fixed_host("dns", "control", 11)
REGISTRY = fixed_host("registry", "control", 12)
AWS = fixed_host("aws", "control", 13)
PROMETHEUS = fixed_host("prometheus", "control", 14)
BALANCERS = (fixed_host("lb-a", "us-east-1a", 20), fixed_host("lb-b", "us-east-1b", 20))
POSTGRES = fixed_host("postgres", "us-east-1a", 30)
REDIS = fixed_host("redis", "us-east-1a", 31)


@dataclass(frozen=True, slots=True)
class Settings:
    """What `lab up` was asked for."""

    boot_delay: float = 3.0
    group_min: int = 1
    group_max: int = 3
    target_file: Path = field(default_factory=lambda: Path.cwd() / "target.yaml")


@dataclass(frozen=True, slots=True)
class Lab:
    """
    The lab as a component sees it.

    *binary* gives the path of a program by name and waits for it while it is still being built.
    *say* tells progress to whoever follows `lab up`.
    """

    state: Path
    hosts: Hosts
    parts: Parts
    binary: Callable[[str], Path]
    say: Callable[[str], None]
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class Component:
    """One line of the lab's list: *start* is idempotent, runs once all of *after* have, and returns when it is ready."""

    name: str
    start: Callable[[Lab], None]
    after: tuple[str, ...] = ()
