"""The fabric: a namespace that routes between the subnets' bridges, and the hosts that hang on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from threading import Lock

from lab.context import LINK, SUBNETS, Lab
from lab.errors import LabClosing
from lab.hosts.commands import run
from lab.hosts.interfaces import Host, Subnet

NETNS = Path("/run/netns")
PREFIX = "gd-"
FABRIC = "gd-fabric"
UPLINK = "gd-link"
EVERYTHING = IPv4Network("198.18.0.0/15")
# Behind every real route, so that a lab address never leaves by the machine's default route while the link is not there.
BLACKHOLE = ("blackhole", str(EVERYTHING), "metric", "4096")
# Where it is loaded, packets within a bridge meet netfilter too, and so would meet the subnet's ACL.
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")

_ROUTER = ("net.ipv4.ip_forward=1",)
_FABRIC = (
    *_ROUTER,
    # An instance reaches its neighbours' pods through the gateway, on one bridge; a redirect would bypass the ACLs' place.
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0",
)
_EVERYWHERE = (
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.conf.all.accept_redirects=0",
    "net.ipv4.conf.default.accept_redirects=0",
    # The lab speaks IPv4 alone; link-local chatter would only blur what is measured.
    "net.ipv6.conf.all.disable_ipv6=1",
    "net.ipv6.conf.default.disable_ipv6=1",
)


def interface_name(host: str) -> str:
    """The fabric's end of *host*'s link: at most 15 characters, the same each time, and its own for each host."""
    return "v" + hashlib.sha256(host.encode()).hexdigest()[:12]


def bridge_name(subnet: Subnet) -> str:
    """The bridge of *subnet* in the fabric, as interfaces are named there."""
    return f"br-{subnet.name}"


def link_address(address: IPv4Address) -> str:
    """
    The MAC address that goes with *address*.

    It follows from the IP address, so that neighbours who remember a terminated instance still reach its successor.
    """
    return "02:67:" + ":".join(f"{byte:02x}" for byte in address.packed)


def enter(netns: str, *argv: str) -> tuple[str, ...]:
    """*argv*, to be run in *netns*; not by `ip netns exec`, which mounts a new /sys and so hides the cgroups."""
    return ("nsenter", f"--net={NETNS / netns}", *argv)


def namespaces() -> list[str]:
    """The lab's network namespaces that there are now."""
    return sorted(path.name for path in NETNS.glob(f"{PREFIX}*"))


class FabricHosts:
    """
    Hosts as network namespaces, each linked to its subnet's bridge in the fabric.

    *forgotten* is told the name of a host after it is gone.
    """

    def __init__(self, forgotten: Callable[[str], None] = lambda _name: None) -> None:
        self._forgotten = forgotten
        self._lock = Lock()
        self._hosts: dict[str, Host] = {}
        self._closing = False

    def build(self) -> None:
        """Makes the fabric, its bridges and its link to the machine; replaces what is there, hosts excepted."""
        with self._lock:
            run("ip", "route", "replace", *BLACKHOLE)
            if FABRIC not in namespaces():
                run("ip", "netns", "add", FABRIC)
            _settings(FABRIC, (*_EVERYWHERE, *_FABRIC))
            if BRIDGE_FILTER.exists():
                _settings(FABRIC, ("net.bridge.bridge-nf-call-iptables=0",))
            there = set(_interfaces(FABRIC))
            _batch(FABRIC, ("link set lo up", *(line for s in SUBNETS.values() for line in _bridge(s, there))))
            self._link()

    def add(self, host: Host) -> None:
        """Makes *host*, reachable when this returns; a host of the same name that differs is replaced."""
        with self._lock:
            if self._closing:
                raise LabClosing(f"host {host.name}")
            if self._hosts.get(host.name) == host:
                return
            self._remove(host.name)
            self._make(host)
            self._hosts[host.name] = host

    def remove(self, name: str) -> None:
        """Cuts the host *name* off at once and drops its namespace; nothing to do when there is none."""
        with self._lock:
            self._remove(name)
        self._forgotten(name)

    def close(self) -> None:
        """No host is made any more, so that a sweep meets no new ones."""
        with self._lock:
            self._closing = True

    def _make(self, host: Host) -> None:
        mask = host.subnet.hosts.prefixlen
        end = interface_name(host.name)
        run("ip", "netns", "add", host.netns)
        _settings(host.netns, (*_EVERYWHERE, *_ROUTER))
        wires = [
            f"link add {end} type veth peer name eth0 address {link_address(host.address)} netns {host.netns}",
            f"link set {end} master {bridge_name(host.subnet)} up",
        ]
        if host.pods is not None:
            wires.append(f"route replace {host.pods} via {host.address}")
        _batch(FABRIC, wires)
        _batch(
            host.netns,
            (
                "link set lo up",
                f"addr add {host.address}/{mask} dev eth0",
                "link set eth0 up",
                f"route add default via {host.subnet.gateway}",
            ),
        )

    def _remove(self, name: str) -> None:
        host = self._hosts.pop(name, None)
        there = namespaces()
        if FABRIC in there:
            # The link goes first: processes may keep the namespace alive, but nothing reaches them any more.
            if interface_name(name) in _interfaces(FABRIC):
                run("ip", "-n", FABRIC, "link", "del", interface_name(name))
            if host is not None and host.pods is not None:
                run("ip", "-n", FABRIC, "route", "flush", str(host.pods))
        if f"{PREFIX}{name}" in there:
            run("ip", "netns", "del", f"{PREFIX}{name}")

    def _link(self) -> None:
        outside, inside = LINK.network_address + 1, LINK.network_address + 2
        if UPLINK not in _interfaces():
            run("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", "uplink", "netns", FABRIC)
        _batch(FABRIC, (f"addr replace {inside}/{LINK.prefixlen} dev uplink", "link set uplink up"))
        run("ip", "addr", "replace", f"{outside}/{LINK.prefixlen}", "dev", UPLINK)
        run("ip", "link", "set", UPLINK, "up")
        run("ip", "route", "replace", str(EVERYTHING), "via", str(inside), "dev", UPLINK)


def _bridge(subnet: Subnet, there: set[str]) -> Iterable[str]:
    name = bridge_name(subnet)
    if name not in there:
        # An address of its own: left alone, a bridge takes the lowest of its ports' and changes it when they come and go.
        yield f"link add {name} address {link_address(subnet.gateway)} type bridge forward_delay 0 stp_state 0"
    yield f"addr replace {subnet.gateway}/{subnet.hosts.prefixlen} dev {name}"
    yield f"link set {name} up"


def _interfaces(netns: str = "") -> list[str]:
    # Not from /sys: that shows the network namespace of whoever mounted it.
    lines = run("ip", *(("-n", netns) if netns else ()), "-o", "link", "show").splitlines()
    return [line.split(":")[1].strip().split("@")[0] for line in lines]


def _batch(netns: str, lines: Iterable[str]) -> None:
    run("ip", "-n", netns, "-batch", "-", feed="\n".join(lines) + "\n")


def _settings(netns: str, settings: tuple[str, ...]) -> None:
    run(*enter(netns, "sysctl", "-q", "-w", *settings))


def start(lab: Lab) -> None:
    """The component `network`: the fabric stands, and the machine reaches every gateway through it."""
    if not isinstance(lab.hosts, FabricHosts):
        msg = f"the network component builds a fabric, not a {type(lab.hosts).__name__}"
        raise TypeError(msg)
    lab.hosts.build()
