"""Components start in the order of what they need, as many at once as can be, and stop at the first failure."""

from threading import Barrier, Event, Lock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.context import Component
from lab.errors import ComponentFailed, LabError
from lab.graph import Change, run_all, select


def component(name, *after):
    return Component(name, lambda _lab: None, after)


class Record:
    """Notes in which order components started and became ready."""

    def __init__(self):
        self.lines = []
        self._lock = Lock()

    def report(self, change: Change):
        with self._lock:
            self.lines.append((change.component, change.state))

    def order(self, state):
        return [name for name, became in self.lines if became == state]


@st.composite
def tables(draw):
    names = [f"c{n}" for n in range(draw(st.integers(1, 8)))]
    return [
        component(name, *draw(st.lists(st.sampled_from(names[:index]), unique=True) if index else st.just([])))
        for index, name in enumerate(names)
    ]


@given(tables())
def test_none_starts_before_all_that_it_comes_after_are_ready(table):
    record = Record()

    run_all(table, lambda _component: None, record.report)

    assert sorted(record.order("ready")) == sorted(each.name for each in table)
    for each in table:
        at = record.lines.index((each.name, "starting"))
        assert all(record.lines.index((before, "ready")) < at for before in each.after)


def test_components_that_do_not_need_each_other_start_at_the_same_time():
    both_there = Barrier(2, timeout=5)

    run_all([component("a"), component("b")], lambda _component: both_there.wait(), lambda _change: None)

    assert not both_there.broken


def test_after_a_failure_nothing_more_is_started_and_the_failure_names_its_component():
    record = Record()

    def start(each):
        if each.name == "etcd":
            raise LabError("no space left", hint="free some")

    with pytest.raises(ComponentFailed, match="component etcd failed: no space left") as failed:
        run_all([component("etcd"), component("apiserver", "etcd")], start, record.report)

    assert failed.value.name == "etcd"
    assert record.lines == [("etcd", "starting"), ("etcd", "failed")]


def test_a_failure_is_told_while_another_component_is_still_starting():
    release = Event()

    def start(each):
        if each.name == "slow":
            release.wait(5)
        else:
            raise LabError("broken")

    with pytest.raises(ComponentFailed, match="quick"):
        run_all([component("slow"), component("quick")], start, lambda _change: None)
    release.set()


def test_only_some_are_selected_with_what_they_need_in_the_order_of_the_table():
    table = [component("dns", "apiserver"), component("network"), component("apiserver", "network"), component("redis")]

    assert [each.name for each in select(table, ["dns"])] == ["dns", "network", "apiserver"]


def test_all_are_selected_when_none_is_named():
    table = [component("a"), component("b", "a")]

    assert select(table) == tuple(table)


@pytest.mark.parametrize(
    ("table", "only", "complaint"),
    [
        ([component("a", "b")], [], "a asked for the component 'b'"),
        ([component("a")], ["x"], "you asked for the component 'x'"),
        ([component("a"), component("a")], [], "named twice: a"),
        ([component("a", "b"), component("b", "a")], [], "wait for one another"),
    ],
)
def test_a_table_that_cannot_work_is_refused(table, only, complaint):
    with pytest.raises(LabError, match=complaint):
        select(table, only)
