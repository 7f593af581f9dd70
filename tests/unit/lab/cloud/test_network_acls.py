"""Network ACLs rendered to nft do what AWS says that they do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lab.cloud.network_acls import render

A, B = "198.18.16.0/20", "198.18.32.0/20"
SUBNETS = [{"SubnetId": "subnet-a", "CidrBlock": A}, {"SubnetId": "subnet-b", "CidrBlock": B}]
NAMES = {"6": "tcp", "17": "udp", "1": "icmp", "50": "50"}


@dataclass(frozen=True)
class Packet:
    source: IPv4Address
    target: IPv4Address
    protocol: str
    port: int = 0
    icmp: tuple[int, int] = (0, 0)


# What AWS says, straight from its documentation.


def aws_passes(acls: list[dict[str, Any]], packet: Packet) -> bool:
    inside = [s for s in SUBNETS if {packet.source, packet.target} <= set_of(s["CidrBlock"], packet)]
    if inside:
        return True
    for egress, address in ((True, packet.source), (False, packet.target)):
        for subnet in SUBNETS:
            acl = next((a for a in acls if {"SubnetId": subnet["SubnetId"]} in a["Associations"]), None)
            if acl and address in IPv4Network(subnet["CidrBlock"]) and not aws_allows(acl, packet, egress=egress):
                return False
    return True


def set_of(cidr: str, packet: Packet) -> set[IPv4Address]:
    return {address for address in (packet.source, packet.target) if address in IPv4Network(cidr)}


def aws_allows(acl: dict[str, Any], packet: Packet, *, egress: bool) -> bool:
    far = packet.target if egress else packet.source
    for entry in sorted(acl["Entries"], key=lambda e: e["RuleNumber"]):
        if entry["Egress"] is egress and far in IPv4Network(entry["CidrBlock"]) and aws_protocol(entry, packet):
            return bool(entry["RuleAction"] == "allow")
    return False


def aws_protocol(entry: dict[str, Any], packet: Packet) -> bool:
    if entry["Protocol"] == "-1":
        return True
    if entry["Protocol"] != packet.protocol:
        return False
    if packet.protocol in {"6", "17"}:
        return bool(entry["PortRange"]["From"] <= packet.port <= entry["PortRange"]["To"])
    if packet.protocol == "1":
        kind, code = entry["IcmpTypeCode"]["Type"], entry["IcmpTypeCode"]["Code"]
        return kind == -1 or (kind == packet.icmp[0] and code in {-1, packet.icmp[1]})
    return True


# What nft does with the few words that we say to it.

WORDS: list[tuple[str, Callable[[Packet, str], bool]]] = [
    (r"ip saddr (\S+)", lambda p, v: p.source in IPv4Network(v)),
    (r"ip daddr (\S+)", lambda p, v: p.target in IPv4Network(v)),
    (r"ip protocol (\S+)", lambda p, v: NAMES[p.protocol] == v),
    (r"tcp dport (\S+)", lambda p, v: p.protocol == "6" and port_in(p.port, v)),
    (r"udp dport (\S+)", lambda p, v: p.protocol == "17" and port_in(p.port, v)),
    (r"icmp type (\S+)", lambda p, v: p.protocol == "1" and p.icmp[0] == int(v)),
    (r"icmp code (\S+)", lambda p, v: p.protocol == "1" and p.icmp[1] == int(v)),
]


def port_in(port: int, said: str) -> bool:
    low, _, high = said.partition("-")
    return int(low) <= port <= int(high or low)


def nft_passes(text: str, packet: Packet) -> bool:
    chains = {
        found[1]: [line.strip() for line in found[2].splitlines() if line.strip()]
        for found in re.finditer(r"  chain (\w+) \{\n(.*?)\n  \}", text, re.DOTALL)
    }
    return nft_chain(chains, "forward", packet) != "drop"


def nft_chain(chains: dict[str, list[str]], name: str, packet: Packet) -> str:
    for line in chains[name]:
        if line.startswith("type filter"):
            continue
        rest, matched = line, True
        for pattern, holds in WORDS:
            if found := re.match(pattern + " ", rest):
                matched, rest = matched and holds(packet, found[1]), rest[found.end() :]
        assert re.fullmatch(r'return|accept|jump \w+|counter drop comment "[^"]+"', rest), f"not understood: {rest}"
        if not matched:
            continue
        verdict = nft_chain(chains, rest.removeprefix("jump "), packet) if rest.startswith("jump") else rest.split()[0]
        if verdict in {"counter", "drop"}:
            return "drop"
        if verdict == "accept" or (verdict == "return" and not rest.startswith("jump")):
            return verdict
    return "return"


ADDRESSES = st.sampled_from(["198.18.16.10", "198.18.17.1", "198.18.32.10", "198.18.1.10", "198.18.0.1"]).map(
    IPv4Address
)
CIDRS = st.sampled_from(["0.0.0.0/0", A, B, "198.18.1.0/24", "198.18.16.10/32", "198.18.0.0/30"])
SMALL = st.integers(0, 4)


@st.composite
def entries(draw: st.DrawFn, number: int) -> dict[str, Any]:
    low, high = sorted([draw(SMALL), draw(SMALL | st.just(65535))])
    return {
        "RuleNumber": number,
        "Egress": draw(st.booleans()),
        "RuleAction": draw(st.sampled_from(["allow", "deny"])),
        "CidrBlock": draw(CIDRS),
        "Protocol": draw(st.sampled_from(["-1", "6", "17", "1", "50"])),
        "PortRange": {"From": low, "To": high},
        "IcmpTypeCode": {"Type": draw(st.integers(-1, 2)), "Code": draw(st.integers(-1, 2))},
    }


@st.composite
def acls(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for name, subnets in draw(st.sampled_from([(("1", "ab"),), (("1", "a"), ("2", "b")), (("1", "b"),)])):
        numbers = draw(st.lists(st.integers(1, 9), unique=True, max_size=6))
        links = [{"SubnetId": f"subnet-{subnet}"} for subnet in subnets]
        rules = [draw(entries(number)) for number in numbers]
        made.append({"NetworkAclId": f"acl-{name}", "Associations": links, "Entries": rules})
    return made


PACKETS = st.builds(
    Packet,
    ADDRESSES,
    ADDRESSES,
    st.sampled_from(["6", "17", "1", "50"]),
    SMALL,
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
)


@given(acls(), PACKETS)
def test_a_packet_passes_the_rules_exactly_when_aws_lets_it_pass(ruled: list[dict[str, Any]], packet: Packet) -> None:
    assert nft_passes(render(SUBNETS, ruled), packet) == aws_passes(ruled, packet)


@given(acls(), st.randoms())
def test_the_order_in_which_entries_and_acls_are_told_makes_no_difference(
    ruled: list[dict[str, Any]], dice: Any
) -> None:
    before = render(SUBNETS, ruled)
    for acl in ruled:
        dice.shuffle(acl["Entries"])
    shuffled = list(ruled)
    dice.shuffle(shuffled)
    assert render(list(reversed(SUBNETS)), shuffled) == before


def test_the_table_is_replaced_in_one_transaction() -> None:
    lines = render(SUBNETS, []).splitlines()
    assert lines[:3] == ["add table ip gameday_acl", "delete table ip gameday_acl", "table ip gameday_acl {"]


def test_a_protocol_by_name_and_a_missing_port_range_mean_all_ports_of_it() -> None:
    entry = {"RuleNumber": 1, "Egress": False, "RuleAction": "deny", "CidrBlock": "0.0.0.0/0", "Protocol": "tcp"}
    text = render(SUBNETS, [{"NetworkAclId": "acl-1", "Associations": [{"SubnetId": "subnet-a"}], "Entries": [entry]}])
    assert '    ip protocol tcp counter drop comment "acl-1 1"' in text.splitlines()


def test_entries_for_ipv6_do_not_touch_ipv4() -> None:
    entry = {"RuleNumber": 1, "Egress": False, "RuleAction": "allow", "Ipv6CidrBlock": "::/0", "Protocol": "-1"}
    linked = {"NetworkAclId": "acl-1", "Associations": [{"SubnetId": "subnet-a"}]}
    assert render(SUBNETS, [{**linked, "Entries": [entry]}]) == render(SUBNETS, [{**linked, "Entries": []}])
