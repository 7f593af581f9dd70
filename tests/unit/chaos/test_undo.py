"""The undo journal: nothing that was armed is lost, nothing is undone twice, and a failure hides no other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.chaos import lease
from harness.chaos.undo import Undo, UndoJournal, Undone
from harness.model.errors import HarnessError
from harness.rundir import RunDir, read_lines

TARGET = object()  # the undos here do not look at it


class World:
    """Something to harm: one value a name. *broken* names cannot be restored, *stubborn* ones do not change."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.restored: list[str] = []
        self.broken: set[str] = set()
        self.stubborn: set[str] = set()
        self.slow: Callable[[], None] = lambda: None

    def restore(self, target, arguments, before) -> None:
        name = arguments["name"]
        self.restored.append(name)
        self.slow()
        if name in self.broken:
            raise ConnectionError("the API is gone")
        if name not in self.stubborn:
            self.values[name] = before["value"]

    def state(self, target, arguments) -> dict[str, int | None]:
        return {"value": self.values.get(arguments["name"])}


@pytest.fixture
def world() -> World:
    return World()


def journal_of(path: Path, world: World) -> UndoJournal:
    return UndoJournal(RunDir(path), {"restore": Undo(world.restore, world.state)}, settles_within=0)


def harm(journal: UndoJournal, world: World, name: str, experiment: str = "e") -> str:
    before = {"value": world.values.get(name, 0)}
    armed = journal.arm("restore", {"name": name}, before, experiment)
    world.values[name] = 99
    return armed


def test_what_is_armed_is_on_the_disk_in_the_documented_form(tmp_path: Path, world: World) -> None:
    armed = journal_of(tmp_path, world).arm("restore", {"name": "a"}, {"value": 0}, "az-outage")
    (line,) = read_lines(RunDir(tmp_path).undo)

    assert set(line) == {"id", "at", "state", "experiment", "undo", "arguments", "before", "error"}
    assert (line["id"], line["state"], line["experiment"]) == (armed, "armed", "az-outage")
    assert (line["arguments"], line["before"], line["error"]) == ({"name": "a"}, {"value": 0}, None)


def test_replay_undoes_the_newest_first_and_only_once(tmp_path: Path, world: World) -> None:
    journal = journal_of(tmp_path, world)
    for name in "abc":
        harm(journal, world, name)
    results = journal.replay(TARGET)

    assert world.restored == ["c", "b", "a"]
    assert all(result.ok for result in results)
    assert world.values == {"a": 0, "b": 0, "c": 0}
    assert journal.replay(TARGET) == []
    assert world.restored == ["c", "b", "a"]


def test_two_harms_of_one_thing_end_at_its_first_state(tmp_path: Path, world: World) -> None:
    journal = journal_of(tmp_path, world)
    world.values["a"] = 1
    harm(journal, world, "a")
    world.values["a"] = 2
    harm(journal, world, "a")
    journal.replay(TARGET)

    assert world.values["a"] == 1


def test_one_failure_does_not_stop_the_rest_and_stays_pending(tmp_path: Path, world: World) -> None:
    journal = journal_of(tmp_path, world)
    ids = [harm(journal, world, name) for name in "abc"]
    world.broken = {"b"}
    results = journal.replay(TARGET)

    assert [result.ok for result in results] == [True, False, True]
    assert "the API is gone" in str(results[1])
    assert [entry.id for entry in journal.pending()] == [ids[1]]
    assert journal.pending()[0].error == "ConnectionError: the API is gone"
    world.broken = set()
    assert [result.ok for result in journal.replay(TARGET)] == [True]
    assert journal.pending() == []


def test_an_undo_that_changed_nothing_is_not_done(tmp_path: Path, world: World) -> None:
    journal = journal_of(tmp_path, world)
    harm(journal, world, "a")
    world.stubborn = {"a"}
    (result,) = journal.replay(TARGET)

    assert result.error == "value was 0, is 99"
    assert len(journal.pending()) == 1
    assert read_lines(RunDir(tmp_path).events) == []


def test_what_was_undone_is_an_event_with_who_did_it(tmp_path: Path, world: World) -> None:
    journal = journal_of(tmp_path, world)
    armed = harm(journal, world, "a", "az-outage")
    journal.replay(TARGET, "watchdog", seen={"node_silence": {"n": 50}})
    (event,) = read_lines(RunDir(tmp_path).events)

    assert (event["source"], event["kind"], event["subject"]) == ("watchdog", "fault.undone", "az-outage")
    assert event["value"] == {"undo": "restore", "id": armed, "targets": [], "node_silence": {"n": 50}}


def test_an_experiment_undoes_its_own_only(tmp_path: Path, world: World) -> None:
    journal = journal_of(tmp_path, world)
    harm(journal, world, "a", "one")
    harm(journal, world, "b", "two")
    journal.replay(TARGET, experiment="one")

    assert world.restored == ["a"]
    assert [entry.experiment for entry in journal.pending()] == ["two"]


def test_an_undo_nobody_knows_fails_and_says_so(tmp_path: Path, world: World) -> None:
    journal = journal_of(tmp_path, world)
    journal.arm("restore_the_moon", {}, {})
    (result,) = journal.replay(TARGET)

    assert "no undo is called 'restore_the_moon'" in result.error
    assert len(journal.pending()) == 1


def test_nothing_is_armed_once_the_watchdog_has_taken_over(tmp_path: Path, world: World) -> None:
    lease.take(RunDir(tmp_path), "the runner died")

    with pytest.raises(HarnessError, match="taken over"):
        journal_of(tmp_path, world).arm("restore", {"name": "a"}, {"value": 0})
    assert not RunDir(tmp_path).undo.exists()


def test_a_torn_last_line_is_left_out_and_the_next_one_is_whole(tmp_path: Path, world: World) -> None:
    journal = journal_of(tmp_path, world)
    first = harm(journal, world, "a")
    with RunDir(tmp_path).undo.open("ab") as file:
        file.write(b'{"id":"torn","state":"arm')

    assert [entry.id for entry in journal.pending()] == [first]
    second = harm(journal, world, "b")
    assert [entry.id for entry in journal.pending()] == [second, first]
    assert [line["id"] for line in read_lines(RunDir(tmp_path).undo)] == [first, second]


def test_state_that_cannot_be_read_is_a_difference(tmp_path: Path, world: World) -> None:
    journal = journal_of(tmp_path, world)
    armed = journal.arm("gone", {}, {}, "e")

    assert "the state cannot be read" in journal.differences(TARGET, [armed])[0]


def test_replays_at_the_same_time_undo_once(tmp_path: Path, world: World) -> None:
    harm(journal_of(tmp_path, world), world, "a")
    inside, others_wait = threading.Event(), threading.Event()

    def slow() -> None:
        inside.set()
        assert others_wait.wait(10)

    world.slow = slow
    results: list[list[Undone]] = []
    threads = [
        threading.Thread(target=lambda: results.append(journal_of(tmp_path, world).replay(TARGET))) for _ in range(3)
    ]
    threads[0].start()
    assert inside.wait(10)
    for thread in threads[1:]:
        thread.start()
    others_wait.set()
    for thread in threads:
        thread.join(10)

    assert world.restored == ["a"]
    assert sorted(len(each) for each in results) == [0, 0, 1]


def test_a_done_entry_is_undone_again_when_asked(tmp_path: Path, world: World) -> None:
    journal = journal_of(tmp_path, world)
    armed = harm(journal, world, "a")
    journal.replay(TARGET)
    world.values["a"] = 99  # a call that was under way when its process was killed
    assert journal.differences(TARGET, [armed]) == ["e: value was 0, is 99"]
    journal.replay(TARGET, again=[armed])

    assert world.values["a"] == 0


OPERATIONS = st.lists(st.tuples(st.sampled_from(["arm", "done", "failed", "torn"]), st.integers(0, 5)), max_size=25)


@settings(max_examples=40, deadline=None)
@given(OPERATIONS)
def test_pending_is_what_was_armed_and_not_done_whatever_else_is_written(tmp_path_factory, operations) -> None:
    path = tmp_path_factory.mktemp("run")
    journal = journal_of(path, World())
    order: list[str] = []
    done: set[str] = set()
    for operation, number in operations:
        if operation == "arm":
            order.append(journal.arm("restore", {"name": str(number)}, {"value": number}))
        elif operation == "torn":
            whole = json.dumps({"id": order[-1], "state": "done"} if order else {"id": "x"})
            with RunDir(path).undo.open("ab") as file:
                file.write(whole[: number + 1].encode())
        elif order:
            armed = order[number % len(order)]
            if operation == "done":
                journal.done(armed)
                done.add(armed)
            else:
                journal.failed(armed, "why")
                done.discard(armed)

    assert [entry.id for entry in journal.pending()] == [each for each in reversed(order) if each not in done]
