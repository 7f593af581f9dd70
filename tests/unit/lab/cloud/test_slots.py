"""Every instance has an address and a pods' network of its own, inside its zone and outside the fixed hosts'."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.cloud.slots import NoFreeAddress, address_of, next_slot, pods_of, slot_of, slots
from lab.context import SUBNETS, ZONES

SUBNET = SUBNETS["us-east-1a"]


def test_the_first_two_slots_are_where_the_address_plan_has_them() -> None:
    assert (str(address_of(SUBNET, 0)), str(pods_of(SUBNET, 0))) == ("198.18.16.100", "198.18.17.0/26")
    assert (str(address_of(SUBNET, 1)), str(pods_of(SUBNET, 1))) == ("198.18.16.101", "198.18.17.64/26")


@pytest.mark.parametrize("zone", ZONES)
def test_slots_fill_the_zone_without_overlap(zone: str) -> None:
    subnet = SUBNETS[zone]
    pods = [pods_of(subnet, slot) for slot in range(slots(subnet))]
    assert len(pods) == 60
    assert all(network.subnet_of(subnet.network) and not network.overlaps(subnet.hosts) for network in pods)
    assert len({network.network_address for network in pods}) == len(pods)
    assert all(slot_of(subnet, address_of(subnet, slot)) == slot for slot in range(slots(subnet)))
    assert address_of(subnet, slots(subnet) - 1) <= IPv4Address(int(subnet.hosts.network_address) + 199)


@given(st.frozensets(st.integers(0, 59)), st.integers(-1, 59))
def test_the_next_slot_is_free_and_none_nearer_is(taken: frozenset[int], last: int) -> None:
    if len(taken) == slots(SUBNET):
        with pytest.raises(NoFreeAddress):
            next_slot(SUBNET, taken, last)
        return
    chosen = next_slot(SUBNET, taken, last)
    passed = {(last + step) % 60 for step in range(1, (chosen - last - 1) % 60 + 1)}
    assert chosen not in taken
    assert passed <= taken
