"""Names and addresses of links fit what the kernel takes, and tell hosts apart."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from lab.context import SUBNETS
from lab.hosts.network import bridge_name, enter, interface_name, link_address

LONGEST = 15  # IFNAMSIZ less the closing zero


@given(st.text(min_size=1))
def test_the_name_of_a_link_fits_and_is_the_same_each_time(host):
    name = interface_name(host)

    assert name == interface_name(host)
    assert len(name.encode()) <= LONGEST
    assert name.isascii()


def test_hosts_have_links_of_their_own():
    names = {interface_name(f"i-{number:017x}") for number in range(10_000)}

    assert len(names) == 10_000


def test_every_subnet_has_a_bridge_of_its_own_whose_name_fits():
    names = {bridge_name(subnet) for subnet in SUBNETS.values()}

    assert len(names) == len(SUBNETS)
    assert max(map(len, names)) <= LONGEST


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_link_addresses_differ_as_addresses_do(one, other):
    assert (link_address(one) == link_address(other)) == (one == other)


def test_a_link_address_is_unicast_and_locally_administered():
    first = int(link_address(IPv4Address("198.18.16.20")).split(":")[0], 16)

    assert (first & 1, first & 2) == (0, 2)


def test_a_program_enters_a_host_without_a_new_sys():
    assert enter("gd-x", "ip", "link") == ("nsenter", "--net=/run/netns/gd-x", "ip", "link")
