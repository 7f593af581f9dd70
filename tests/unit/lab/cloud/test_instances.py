"""What the instance actuator decides, from what is wanted and what is real; and how the server reads what it is told."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.cloud.door import CloudInstance, Machines
from lab.cloud.instances import Actions, decide
from lab.cloud.machines import CODES, Observed, next_state
from lab.hosts.interfaces import Instance

NAMES = [f"i-{number}" for number in range(5)]
SOME = st.frozensets(st.sampled_from(NAMES))


def wanted(**states: str) -> list[CloudInstance]:
    return [CloudInstance(instance(name.replace("_", "-")), state) for name, state in states.items()]


def instance(name: str) -> Instance:
    return Instance(name, "us-east-1a", "workers", IPv4Address("198.18.16.100"), IPv4Network("198.18.17.0/26"))


def test_a_pending_instance_is_booted_once() -> None:
    asked = wanted(i_1="pending")
    assert decide(asked, Machines(), frozenset()) == Actions(boot=(instance("i-1"),))
    assert decide(asked, Machines(), frozenset({"i-1"})) == Actions()
    assert decide(asked, Machines(alive=frozenset({"i-1"})), frozenset()) == Actions()


def test_a_boot_that_failed_is_not_repeated_for_the_same_instance() -> None:
    assert decide(wanted(i_1="pending"), Machines(failed={"i-1": "why"}), frozenset()) == Actions()


def test_a_running_instance_whose_machine_died_is_left_to_its_group() -> None:
    assert decide(wanted(i_1="running"), Machines(), frozenset()) == Actions()


@pytest.mark.parametrize("state", ["shutting-down", "stopping", "stopped"])
def test_an_ending_instance_is_destroyed_even_if_nothing_of_it_is_seen(state: str) -> None:
    assert decide(wanted(i_1=state), Machines(), frozenset()).destroy == ("i-1",)
    assert decide(wanted(i_1=state), Machines(gone=frozenset({"i-1"})), frozenset()) == Actions()


def test_a_boot_under_way_is_cancelled_when_its_instance_ends() -> None:
    assert decide(wanted(i_1="shutting-down"), Machines(), frozenset({"i-1"})) == Actions(cancel=("i-1",))


def test_a_machine_that_nobody_asked_for_is_destroyed() -> None:
    assert decide([], Machines(alive=frozenset({"i-9"})), frozenset()) == Actions(destroy=("i-9",))


def test_what_was_gone_is_forgotten_when_it_is_to_run_again_or_no_longer_told_of() -> None:
    noted = Machines(gone=frozenset({"i-1", "i-2"}))
    assert decide(wanted(i_1="pending"), noted, frozenset()).forget == ("i-1", "i-2")


ANY_WANTED = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(sorted(set(CODES) - {"terminated"})))


@given(ANY_WANTED, SOME, SOME, SOME, SOME)
def test_nothing_wanted_is_destroyed_and_nothing_under_way_is_begun_twice(
    states: dict[str, str], alive: frozenset[str], gone: frozenset[str], failed: frozenset[str], busy: frozenset[str]
) -> None:
    told = [CloudInstance(instance(name), state) for name, state in states.items()]
    actions = decide(told, Machines(alive, gone - alive, dict.fromkeys(failed, "why")), busy)
    booted = {each.id for each in actions.boot}
    assert not {name for name in actions.destroy if states.get(name) in {"pending", "running"}}
    assert not busy & (booted | set(actions.destroy))
    assert not booted & set(actions.destroy)
    unwanted = {name for name in alive if states.get(name) not in {"pending", "running"}}
    assert unwanted - busy <= set(actions.destroy)


@given(ANY_WANTED)
def test_rounds_come_to_rest_with_just_the_running_machines(states: dict[str, str]) -> None:
    alive = {name for name, state in states.items() if state == "running"}
    gone: set[str] = set()
    for _ in range(4):
        observed = Observed(frozenset(alive), frozenset(gone), {})
        states = {name: next_state(state, name, observed) for name, state in states.items()}
        states = {name: state for name, state in states.items() if state != "terminated"}
        told = [CloudInstance(instance(name), state) for name, state in states.items()]
        actions = decide(told, Machines(frozenset(alive), frozenset(gone)), frozenset())
        alive = (alive | {each.id for each in actions.boot}) - set(actions.destroy)
        gone = (gone | set(actions.destroy)) - set(actions.forget)
    assert set(states.values()) <= {"running", "stopped"}
    assert alive == {name for name, state in states.items() if state == "running"}


@pytest.mark.parametrize(
    ("state", "observed", "then"),
    [
        ("pending", Observed(frozenset(), frozenset(), {}), "pending"),
        ("pending", Observed(frozenset({"i"}), frozenset(), {}), "running"),
        ("pending", Observed(frozenset(), frozenset(), {"i": "why"}), "shutting-down"),
        ("running", Observed(frozenset(), frozenset({"i"}), {}), "running"),
        ("shutting-down", Observed(frozenset(), frozenset(), {}), "shutting-down"),
        ("shutting-down", Observed(frozenset({"i"}), frozenset({"i"}), {}), "shutting-down"),
        ("shutting-down", Observed(frozenset(), frozenset({"i"}), {}), "terminated"),
        ("stopping", Observed(frozenset(), frozenset({"i"}), {}), "stopped"),
        ("stopped", Observed(frozenset(), frozenset({"i"}), {}), "stopped"),
    ],
)
def test_an_instance_is_in_the_state_that_its_machine_is_in(state: str, observed: Observed, then: str) -> None:
    assert next_state(state, "i", observed) == then
