"""The lab's table can be started, and whoever needs the network says so."""

from lab.components import COMPONENTS
from lab.graph import select


def test_the_table_can_be_started():
    assert select(COMPONENTS) == COMPONENTS


def test_whoever_has_a_host_comes_after_the_network():
    without = {each.name for each in COMPONENTS if "network" not in {c.name for c in select(COMPONENTS, [each.name])}}

    assert without <= {"pki", "images"}
