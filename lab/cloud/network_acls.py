"""
The actuator that makes network ACLs real: one nft table in the fabric's namespace, replaced whole when it changes.

A packet between two subnets meets the egress rules of the one that it leaves and then the ingress rules of the one
that it enters, each list stateless and by rule number, the first match deciding, denied if none matches. Traffic inside
a subnet meets none, also where the fabric routes it.
"""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from lab.cloud.door import CloudUnreachable, Door
from lab.errors import LabError

TABLE = "gameday_acl"
FABRIC = "/run/netns/gd-fabric"
WAIT = 2.0  # how long one question for news lasts; news itself comes at once
CHECK = 4.0  # how often a table that somebody else took away is noticed
NAMED = {"tcp": "6", "udp": "17", "icmp": "1", "all": "-1"}
TCP, UDP, ICMP, ANY = "6", "17", "1", "-1"
ALL_PORTS = (0, 65535)
log = logging.getLogger(__name__)

Document = Mapping[str, Any]


class FabricRefused(LabError):
    """nft did not take the rules; carries what it said."""


def render(subnets: Sequence[Document], acls: Sequence[Document]) -> str:
    """
    The nft commands that put *acls* of *subnets* into force in one transaction, whatever is there.

    Both come as EC2's `describe_*` shows them. A subnet that no ACL is associated with lets all through.
    """
    by_subnet = {link["SubnetId"]: acl for acl in acls for link in acl["Associations"]}
    ruled = sorted((s for s in subnets if s["SubnetId"] in by_subnet), key=lambda s: str(s["SubnetId"]))
    used = sorted({str(by_subnet[s["SubnetId"]]["NetworkAclId"]) for s in ruled})
    by_id = {str(acl["NetworkAclId"]): acl for acl in acls}
    lines = [f"add table ip {TABLE}", f"delete table ip {TABLE}", f"table ip {TABLE} {{"]
    for acl in used:
        for egress in (True, False):
            lines += _chain(by_id[acl], egress=egress)
    lines += ["  chain forward {", "    type filter hook forward priority -10; policy accept;"]
    lines += [f"    ip saddr {s['CidrBlock']} ip daddr {s['CidrBlock']} accept" for s in ruled]
    for egress, side in ((True, "saddr"), (False, "daddr")):
        for s in ruled:
            lines.append(f"    ip {side} {s['CidrBlock']} jump {_chain_name(by_subnet[s['SubnetId']], egress=egress)}")
    return "\n".join([*lines, "  }", "}", ""])


def _chain_name(acl: Document, *, egress: bool) -> str:
    return f"{'egress' if egress else 'ingress'}_{str(acl['NetworkAclId']).replace('-', '_')}"


def _chain(acl: Document, *, egress: bool) -> list[str]:
    """Allowed packets return to `forward`, where the other subnet's rules are still to come."""
    entries = [entry for entry in acl["Entries"] if bool(entry["Egress"]) is egress and "CidrBlock" in entry]
    lines = [f"  chain {_chain_name(acl, egress=egress)} {{"]
    for entry in sorted(entries, key=lambda each: int(each["RuleNumber"])):
        match = _match(entry, "daddr" if egress else "saddr")
        allowed = str(entry["RuleAction"]).lower() == "allow"
        lines.append(f"    {match}return" if allowed else f"    {match}{_drop(acl, str(entry['RuleNumber']))}")
    return [*lines, f"    {_drop(acl, 'last')}", "  }"]


def _drop(acl: Document, rule: str) -> str:
    return f'counter drop comment "{acl["NetworkAclId"]} {rule}"'


def _match(entry: Document, side: str) -> str:
    """The condition of *entry*, empty or ending in a space; ports are always the packet's destination."""
    cidr = IPv4Network(str(entry["CidrBlock"]), strict=False)
    address = f"ip {side} {cidr} " if cidr.prefixlen else ""
    protocol = NAMED.get(str(entry["Protocol"]).lower(), str(entry["Protocol"]))
    if protocol == ANY:
        return address
    if protocol in {TCP, UDP}:
        return f"{address}{_ports(entry, 'tcp' if protocol == TCP else 'udp')} "
    if protocol == ICMP:
        return f"{address}{_icmp(entry)} "
    return f"{address}ip protocol {int(protocol)} "


def _ports(entry: Document, protocol: str) -> str:
    ports = entry.get("PortRange") or {}
    low, high = (
        int(ports[key]) if ports.get(key) is not None else bound
        for key, bound in zip(("From", "To"), ALL_PORTS, strict=True)
    )
    if (low, high) == ALL_PORTS:
        return f"ip protocol {protocol}"
    return f"{protocol} dport {low}" if low == high else f"{protocol} dport {low}-{high}"


def _icmp(entry: Document) -> str:
    wanted = entry.get("IcmpTypeCode") or {}
    kind, code = (-1 if wanted.get(key) is None else int(wanted[key]) for key in ("Type", "Code"))
    parts = ["ip protocol icmp"] if kind < 0 else [f"icmp type {kind}"]
    return " ".join(parts if kind < 0 or code < 0 else [*parts, f"icmp code {code}"])


class Fabric:
    """The network namespace at *netns* (a path), where the table lives."""

    def __init__(self, netns: str = FABRIC) -> None:
        self._inside = ("nsenter", f"--net={netns}", "nft")

    def apply(self, commands: str) -> None:
        """The *commands* are in force, all of them or (FabricRefused) none."""
        done = self._nft("-f", "-", given=commands)
        if done.returncode != 0:
            raise FabricRefused(f"{' '.join(self._inside)} -f - ended with {done.returncode}: {done.stderr.strip()}")

    def denied(self) -> dict[str, int] | None:
        """Packets that each deny rule dropped since the table was made, by ACL and rule; None when there is no table."""
        done = self._nft("-j", "list", "table", "ip", TABLE)
        if done.returncode != 0:
            return None
        rules = [each["rule"] for each in json.loads(done.stdout)["nftables"] if "rule" in each]
        counts: dict[str, int] = {}
        for rule in rules:
            packets = sum(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)
            if "comment" in rule:
                key = f"{rule['comment']} {rule['chain'].partition('_')[0]}"
                counts[key] = counts.get(key, 0) + int(packets)
        return counts

    def _nft(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        argv = [*self._inside, *arguments]
        return subprocess.run(argv, input=given, capture_output=True, text=True, timeout=10, check=False)


class NetworkAclActuator:
    """Keeps the fabric's table as the cloud's ACLs have it."""

    def __init__(self, door: Door, fabric: Fabric) -> None:
        self._door = door
        self._fabric = fabric
        self._applied = ""
        self._generation = 0
        self._checked = 0.0
        self._denied_before: dict[str, int] = {}
        self._complained = ""

    def run(self, stop: threading.Event, ready: threading.Event) -> None:
        """Rounds until *stop*; *ready* once the table is in force. A round's error is told, not fatal."""
        while not stop.is_set():
            try:
                self.round(WAIT if ready.is_set() else 0.0)
                ready.set()
                self._complained = ""
            except (
                CloudUnreachable,
                FabricRefused,
                OSError,
                subprocess.SubprocessError,
                ValueError,
                KeyError,
            ) as error:
                self._complain(f"{type(error).__name__}: {error}")
                self._generation = 0
                stop.wait(0.5)

    def _complain(self, text: str) -> None:
        if text != self._complained:
            log.warning("network ACLs are not being looked after: %s", text)
            self._complained = text

    def round(self, wait: float) -> bool:
        """One comparison, after news or *wait* seconds; whether the table was replaced."""
        cloud = self._door.watch(self._generation, wait)
        rules = render(cloud.subnets, cloud.acls)
        if rules == self._applied and self._still_there():
            self._generation = cloud.generation
            return False
        self._count()
        self._fabric.apply(rules)
        self._applied, self._generation, self._checked = rules, cloud.generation, time.monotonic()
        log.info("network ACLs in force as of generation %d", cloud.generation)
        return True

    def _still_there(self) -> bool:
        if time.monotonic() - self._checked < CHECK:
            return True
        self._checked = time.monotonic()
        return self._fabric.denied() is not None

    def _count(self) -> None:
        for rule, packets in (self._fabric.denied() or {}).items():
            self._denied_before[rule] = self._denied_before.get(rule, 0) + packets
        dropped = {rule: packets for rule, packets in self._denied_before.items() if packets}
        if dropped:
            log.info("packets denied so far: %s", dropped)

    def denied(self) -> dict[str, int]:
        """Packets dropped by each deny rule since this actuator began, also by tables since replaced."""
        now = self._fabric.denied() or {}
        rules = self._denied_before.keys() | now.keys()
        return {rule: self._denied_before.get(rule, 0) + now.get(rule, 0) for rule in sorted(rules)}
