"""The lease: expires when the runner is silent, and for no other reason."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.chaos import lease
from harness.chaos.lease import Lease, LeaseClock
from harness.rundir import RunDir


def test_a_lease_expires_once_it_was_not_renewed_for_five_seconds() -> None:
    clock = LeaseClock(expires_after=5)
    looks = [clock.look(renewal=100.0, now=at / 2) for at in range(14)]

    assert looks.index(True) == 11  # 5.5 s: later than 5 s, by less than a look
    assert looks[11:] == [True] * 3


def test_a_stall_of_the_whole_machine_is_not_the_runners_silence() -> None:
    clock = LeaseClock(expires_after=5, step=1)
    clock.look(1.0, 0.0)

    assert not clock.look(1.0, 600.0)
    assert not clock.look(2.0, 600.5)


def test_a_missing_lease_expires_too() -> None:
    clock = LeaseClock(expires_after=5)

    assert [clock.look(None, float(at)) for at in range(8)][-1]


def test_a_wall_clock_that_jumps_back_is_a_renewal_all_the_same() -> None:
    clock = LeaseClock(expires_after=5)
    for at in range(20):
        assert not clock.look(1000.0 - at, float(at))


@given(st.lists(st.floats(0.01, 4.9), min_size=1, max_size=50))
def test_a_runner_that_renews_in_time_keeps_its_lease(gaps: list[float]) -> None:
    clock = LeaseClock(expires_after=5)
    now = 0.0
    for number, gap in enumerate(gaps):
        now += gap
        assert not clock.look(float(number), now)


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=100))
def test_silence_of_any_rhythm_expires_exactly_past_the_bound(gaps: list[float]) -> None:
    clock = LeaseClock(expires_after=5, step=1)
    clock.look(1.0, 0.0)
    now = 0.0
    age = 0.0
    for gap in gaps:
        age += (now + gap) - now
        now += gap
        assert clock.look(1.0, now) == (age > 5)


def test_a_started_lease_is_held_by_this_process_until_it_is_released(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    held = Lease(run)
    held.start()
    holder = lease.holder(run)
    held.release()

    assert holder is not None
    assert holder.pid == os.getpid()
    assert lease.renewal(run) is not None
    assert lease.released(run)
    assert held.held


def test_a_holder_whose_pid_was_recycled_is_gone(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.write_json(run.lease, {"pid": os.getpid(), "started": 1})

    assert lease.holder(run) is None


def test_a_runner_learns_that_its_lease_was_taken(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(lease, "RENEWED_EVERY", 0.01)
    lost = threading.Event()
    held = Lease(RunDir(tmp_path), on_lost=lost.set)
    held.start()
    lease.take(RunDir(tmp_path), "why not")

    assert lost.wait(10)
    assert not held.held
    held.release()
