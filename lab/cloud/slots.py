"""Where an instance lives in its zone: slot k has the k-th instance address and the k-th /26 for its pods."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from ipaddress import IPv4Address, IPv4Network

from lab.hosts.interfaces import Subnet

FIRST_INSTANCE = 100
POD_PREFIX = 26


class NoFreeAddress(Exception):
    """Every instance address of a subnet is in use."""


def slots(subnet: Subnet) -> int:
    """How many instances *subnet* has room for: bound by its pods' /26s and by the addresses .100 to .199."""
    pods = subnet.network.num_addresses - subnet.hosts.num_addresses
    return min(100, pods >> (32 - POD_PREFIX))


def address_of(subnet: Subnet, slot: int) -> IPv4Address:
    """The address of the instance in *slot*."""
    return subnet.hosts.network_address + FIRST_INSTANCE + slot


def pods_of(subnet: Subnet, slot: int) -> IPv4Network:
    """The pods' network of the instance in *slot*; the first follows the hosts' /24."""
    start = int(subnet.hosts.broadcast_address) + 1 + (slot << (32 - POD_PREFIX))
    return IPv4Network((start, POD_PREFIX))


def slot_of(subnet: Subnet, address: IPv4Address) -> int:
    """The slot whose instance address is *address*."""
    return int(address) - int(subnet.hosts.network_address) - FIRST_INSTANCE


def next_slot(subnet: Subnet, taken: AbstractSet[int], last: int) -> int:
    """The first free slot after *last*, round and round, so that an address rests as long as can be before reuse."""
    room = slots(subnet)
    for step in range(1, room + 1):
        slot = (last + step) % room
        if slot not in taken:
            return slot
    raise NoFreeAddress(f"all {room} instance addresses of {subnet.name} are in use")
