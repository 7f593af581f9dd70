"""Taking over: tries again while it fails, says what is left, and leaves a run that ended in order alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.chaos import lease, undo, watchdog
from harness.chaos.undo import Undo, UndoJournal
from harness.rundir import RunDir, read_lines

TARGET = object()


class Api:
    """One value behind an API that fails *refusals* times."""

    def __init__(self, refusals: int = 0) -> None:
        self.value = 0
        self.refusals = refusals

    def restore(self, target, arguments, before) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("not yet")
        self.value = before["value"]

    def state(self, target, arguments):
        return {"value": self.value}


def armed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: Api) -> RunDir:
    run = RunDir(tmp_path)
    monkeypatch.setattr(undo, "known_undos", lambda: {"restore": Undo(api.restore, api.state)})
    monkeypatch.setattr(undo, "settle", lambda read, enough, within: read())
    UndoJournal(run).arm("restore", {}, {"value": 0}, "e")
    api.value = 99
    return run


def kinds(run: RunDir) -> list[str]:
    return [event["kind"] for event in read_lines(run.events)]


def test_a_takeover_undoes_compares_and_says_so(tmp_path: Path, monkeypatch) -> None:
    api = Api()
    run = armed(tmp_path, monkeypatch, api)
    restored = watchdog.take_over(run, TARGET, "the runner died")

    assert (restored.equal, restored.compared, api.value) == (True, 1, 0)
    assert kinds(run) == ["watchdog.took_over", "fault.undone", "restored.compared", "run.interrupted"]
    assert lease.taken(run)


def test_it_tries_again_while_the_api_is_away(tmp_path: Path, monkeypatch) -> None:
    api = Api(refusals=1)
    run = armed(tmp_path, monkeypatch, api)

    assert watchdog.take_over(run, TARGET, "x").equal
    assert api.value == 0


def test_what_could_not_be_undone_is_not_called_equal(tmp_path: Path, monkeypatch) -> None:
    run = armed(tmp_path, monkeypatch, Api(refusals=10**6))
    restored = watchdog.take_over(run, TARGET, "x", keeps_trying=0)

    assert not restored.equal
    assert "not yet" in restored.differences[0]
    compared = next(e for e in read_lines(run.events) if e["kind"] == "restored.compared")
    assert compared["value"]["equal"] is False


def test_a_run_without_a_fault_has_nothing_to_compare(tmp_path: Path) -> None:
    restored = watchdog.take_over(RunDir(tmp_path), TARGET, "x")

    assert (restored.equal, restored.compared) == (True, 0)


def test_a_released_lease_is_no_reason(tmp_path: Path) -> None:
    held = lease.Lease(RunDir(tmp_path))
    held.start()
    held.release()

    assert watchdog.await_reason(RunDir(tmp_path), lease.holder(RunDir(tmp_path))) is None


def test_a_released_lease_with_a_pending_undo_is_a_reason(tmp_path: Path, monkeypatch) -> None:
    run = armed(tmp_path, monkeypatch, Api())
    run.append_line(run.lease.with_name("lease.released"), {"pid": os.getpid()})

    assert "1 fault" in str(watchdog.await_reason(run, None))


def test_a_runner_that_is_gone_is_a_reason(tmp_path: Path) -> None:
    assert watchdog.await_reason(RunDir(tmp_path), None) == "the runner died"
