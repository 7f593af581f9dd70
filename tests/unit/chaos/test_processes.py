"""Whose process is whose: the run's are found, a stranger with a recycled pid never is."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.chaos.processes import (
    Process,
    end_processes,
    kill_after_grace,
    kill_session,
    members,
    process,
    register_process,
    send,
)
from harness.rundir import RunDir

WAITS = "import sys; print(flush=True); sys.stdin.read()"
WAITS_DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen]]:
    processes: list[subprocess.Popen] = []
    yield processes
    for each in processes:
        each.kill()
        each.communicate()


def begin(started: list[subprocess.Popen], code: str = WAITS, **more) -> subprocess.Popen:
    each = subprocess.Popen(
        [sys.executable, "-S", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        **more,
    )
    started.append(each)
    each.stdout.readline()
    return each


def test_a_registered_process_is_killed(tmp_path: Path, started) -> None:
    run = RunDir(tmp_path)
    child = begin(started)
    register_process(run, "chaos", child.pid)

    assert end_processes(run) == {}
    assert child.wait(10) == -signal.SIGKILL


def test_a_recycled_pid_is_never_killed(tmp_path: Path, started) -> None:
    run = RunDir(tmp_path)
    child = begin(started)
    register_process(run, "chaos", child.pid)
    line = run.processes.read_text()
    real = process(child.pid).started
    run.processes.write_text(line.replace(str(real), str(real - 1)))

    assert members(run) == {}
    assert not send(Process(child.pid, real - 1, child.pid, child.pid), signal.SIGKILL)
    assert child.poll() is None


def test_one_with_grace_may_end_in_order_and_is_killed_if_it_does_not(tmp_path: Path, started) -> None:
    run = RunDir(tmp_path)
    polite, deaf = begin(started), begin(started, WAITS_DEAF)
    register_process(run, "load", polite.pid, grace=5)
    register_process(run, "load", deaf.pid, grace=5)
    asked = end_processes(run)

    assert {each.pid for each in asked} == {polite.pid, deaf.pid}
    assert polite.wait(10) == -signal.SIGTERM
    kill_after_grace(asked, since=-100.0)
    assert deaf.wait(10) == -signal.SIGKILL


def test_one_that_was_not_registered_in_time_is_known_by_its_environment(tmp_path: Path, started) -> None:
    run = RunDir(tmp_path)
    child = begin(started, env={**os.environ, "GAMEDAY_RUN": str(tmp_path.resolve())})
    other = begin(started, env={**os.environ, "GAMEDAY_RUN": str(tmp_path.resolve()) + "-other"})

    assert {each.pid for each in members(run)} == {child.pid}
    end_processes(run)
    assert child.wait(10) == -signal.SIGKILL
    assert other.poll() is None


def test_the_spared_are_spared(tmp_path: Path, started) -> None:
    run = RunDir(tmp_path)
    child = begin(started)
    register_process(run, "chaos", child.pid)

    assert members(run, frozenset({child.pid})) == {}


def test_children_of_a_dead_leader_are_found_by_its_session(started) -> None:
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-S', '-c', sys.argv[1]], stdout=-3).pid)"
    leader = subprocess.Popen(
        [sys.executable, "-S", "-c", code + "; sys.stdout.flush(); sys.stdin.readline()", WAITS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    started.append(leader)
    child = process(int(leader.stdout.readline()))
    began = process(leader.pid).started
    descriptor = os.pidfd_open(child.pid)
    leader.kill()
    leader.wait(10)
    kill_session(leader.pid, began)

    assert child.session == leader.pid
    assert select.select([descriptor], [], [], 10)[0]
    os.close(descriptor)


def test_a_process_that_has_ended_cannot_be_registered(tmp_path: Path, started) -> None:
    child = begin(started)
    child.kill()
    child.wait()

    assert register_process(RunDir(tmp_path), "chaos", child.pid) is None
