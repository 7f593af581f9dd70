"""Watches on scripted streams: nothing told twice, nothing lost, and blindness said."""

from __future__ import annotations

import threading

import pytest

from harness.model.errors import CollectorLost
from harness.observe.watch import Follower, Happenings, HistoryGone, Listener, Objects


def thing(name, version, uid=None, **rest):
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": uid or f"u-{name}", "resourceVersion": str(version)},
        **rest,
    }


def objects():
    return Objects("thing", lambda documents: {"size": documents[0].get("size", 0)})


class Script:
    """A door that gives the given answers in order; then the test is over."""

    def __init__(self, stop, lists, sessions):
        self.stop, self.lists, self.sessions, self.asked = stop, list(lists), list(sessions), []

    def read_all(self):
        return self._next(self.lists)

    def watch(self, version):
        self.asked.append(version)
        session = self._next(self.sessions)
        return self._told(session)

    def _told(self, session):
        for line in session:
            if isinstance(line, BaseException):
                raise line
            yield line

    def _next(self, answers):
        if not self.sessions or not answers:
            self.stop.set()
            return [] if answers is self.sessions else ([], "0")
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Impatient(threading.Event):
    """Never really waits."""

    def wait(self, timeout=None):
        return self.is_set()


def play(lists, sessions, ledger=None):
    stop, told, presence = Impatient(), [], []
    door = Script(stop, lists, sessions)
    listener = Listener(told.extend, lambda: presence.append("seen"), presence.append, stop)
    Follower(door, ledger or objects(), listener).follow()
    return told, presence, door


def short(told):
    return [(change.kind, change.subject, change.value.get("size")) for change in told]


def test_what_is_there_at_first_is_added():
    told, presence, _ = play([([thing("a", 1, size=1)], "5")], [[]])
    assert short(told) == [("thing.added", "shop/a", 1)]
    assert presence[0] == "seen"


def test_changes_are_told_and_what_the_view_does_not_show_is_none():
    session = [
        {"type": "MODIFIED", "object": thing("a", 6, size=2)},
        {"type": "MODIFIED", "object": thing("a", 7, size=2)},
        {"type": "DELETED", "object": thing("a", 8, size=2)},
    ]
    told, _, _ = play([([thing("a", 1, size=1)], "5")], [session])
    assert short(told)[1:] == [("thing.changed", "shop/a", 2), ("thing.deleted", "shop/a", 2)]


def test_a_cut_session_goes_on_from_the_last_version_told():
    cut = [{"type": "MODIFIED", "object": thing("a", 6, size=2)}, ConnectionResetError("cut")]
    told, presence, door = play([([thing("a", 1, size=1)], "5")], [cut, []])
    assert door.asked == ["5", "6", "6"]
    assert [type(p).__name__ for p in presence[:3]] == ["str", "ConnectionResetError", "str"]
    assert len(told) == 2


def test_bookmarks_move_on_and_are_not_told():
    told, _, door = play([([], "5")], [[{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}], []])
    assert told == []
    assert door.asked[1] == "9"


@pytest.mark.parametrize(
    "gone", [HistoryGone(), [{"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}]]
)
def test_after_history_is_gone_a_list_tells_only_what_changed_meanwhile(gone):
    first = ([thing("stays", 1, size=1), thing("grows", 2, size=1), thing("goes", 3, size=1)], "5")
    second = ([thing("stays", 1, size=1), thing("grows", 9, size=4), thing("comes", 8, size=1)], "20")
    told, presence, door = play([first, second], [gone, []])
    assert short(told)[3:] == [
        ("thing.deleted", "shop/goes", 1),
        ("thing.changed", "shop/grows", 4),
        ("thing.added", "shop/comes", 1),
    ]
    assert door.asked[:2] == ["5", "20"]
    assert all(said == "seen" for said in presence)


def test_another_error_of_the_api_is_a_loss():
    _, presence, _ = play([([], "5")], [[{"type": "ERROR", "object": {"code": 500, "message": "etcd"}}], []])
    assert isinstance(presence[1], CollectorLost)
    assert "etcd" in str(presence[1])


def test_an_api_that_cannot_be_listed_is_lost_until_it_can():
    told, presence, _ = play([ConnectionRefusedError("no"), ([thing("a", 1)], "5")], [[]])
    assert isinstance(presence[0], ConnectionRefusedError)
    assert presence[1] == "seen"
    assert len(told) == 1


def test_a_new_object_with_an_old_name_is_another_object():
    ledger = objects()
    ledger.replace([thing("a", 1, uid="one")])
    told = ledger.replace([thing("a", 2, uid="two")])
    assert [change.kind for change in told] == ["thing.deleted", "thing.added"]


def test_a_view_that_depends_on_others_is_looked_at_again():
    zones = {}
    ledger = Objects("pod", lambda documents: {"zone": zones.get("n1", "")})
    ledger.apply("ADDED", thing("p", 1))
    zones["n1"] = "us-east-1a"
    assert [(change.kind, change.value) for change in ledger.refresh()] == [("pod.changed", {"zone": "us-east-1a"})]
    assert ledger.refresh() == []


def slice_of(name, version, *pods):
    return thing(name, version, pods=list(pods))


def test_a_services_slices_are_one_thing():
    ledger = Objects(
        "endpoints",
        lambda ds: {"pods": sorted(p for d in ds for p in d["pods"])},
        key=lambda _: "web",
        subject=lambda _: "shop/web",
    )
    told = ledger.apply("ADDED", slice_of("s1", 1, "a")) + ledger.apply("ADDED", slice_of("s2", 2, "b"))
    told += ledger.apply("DELETED", slice_of("s1", 3, "a")) + ledger.apply("DELETED", slice_of("s2", 4, "b"))
    assert [(change.kind, change.value["pods"]) for change in told] == [
        ("endpoints.added", ["a"]),
        ("endpoints.changed", ["a", "b"]),
        ("endpoints.changed", ["b"]),
        ("endpoints.deleted", ["b"]),
    ]


def happening(uid, count, component="cluster-autoscaler"):
    return thing(
        uid,
        1,
        uid=uid,
        count=count,
        reason="R",
        source={"component": component},
        involvedObject={"kind": "Pod", "namespace": "shop", "name": "p"},
    )


def test_events_from_before_the_run_are_not_told_and_each_repetition_is():
    ledger = Happenings()
    assert ledger.replace([happening("old", 3)]) == []
    told = ledger.apply("MODIFIED", happening("old", 4)) + ledger.apply("MODIFIED", happening("old", 4))
    told += ledger.apply("ADDED", happening("new", 1)) + ledger.apply("DELETED", happening("new", 1))
    assert [(change.kind, change.subject, change.value["count"]) for change in told] == [
        ("kubernetes.event", "shop/p", 4),
        ("kubernetes.event", "shop/p", 1),
    ]


def test_events_listed_again_after_a_gap_are_told_once():
    ledger = Happenings()
    ledger.replace([happening("old", 1)])
    assert [change.value["count"] for change in ledger.replace([happening("old", 1), happening("missed", 2)])] == [2]


def test_events_that_are_not_wanted_are_left_out():
    ledger = Happenings(lambda document: document["source"]["component"] == "cluster-autoscaler")
    ledger.replace([])
    assert ledger.apply("ADDED", happening("x", 1, component="kubelet")) == []
