"""The command `lab` on the real machine, with its smallest part: up, look, break, recover, down."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.client import daemon_pid
from lab.context import STATE
from lab.errors import LockHeld
from lab.hosts.cgroups import Cgroups
from lab.hosts.sweep import leaks
from lab.lock import LabLock, holder

pytestmark = pytest.mark.lab

LAB = Path(sys.executable).with_name("lab")


def lab(*argv):
    return subprocess.run([LAB, *argv], capture_output=True, text=True, check=False, timeout=120)


def status():
    return json.loads(lab("status", "--json").stdout)


@pytest.fixture(autouse=True)
def machine():
    """No lab runs before, and nothing of one is left after."""
    if held := holder():
        pytest.fail(f"{LockHeld(Path('lock'), str(held))}", pytrace=False)
    yield
    ended = lab("down")
    assert ended.returncode == 0, ended.stderr
    assert leaks(STATE) == []


@pytest.fixture
def up(tmp_path):
    began = lab("up", "--only", "redis", "--target-file", str(tmp_path / "target.yaml"))
    assert began.returncode == 0, began.stderr
    return began


def test_up_tells_each_component_and_status_each_part(up):
    assert "redis: ready" in up.stderr
    assert "the lab is up" in up.stderr

    shown = lab("status")

    assert shown.returncode == 0
    assert [line.split()[:4] for line in shown.stdout.splitlines() if line.startswith("redis")] == [
        ["redis", "redis", "us-east-1a", "running"]
    ]


def test_a_second_up_changes_nothing_and_says_so(up):
    before = status()

    again = lab("up", "--only", "redis")

    assert again.returncode == 0
    assert "is up already" in again.stderr
    assert [status()[key] for key in ("pid", "since")] == [before[key] for key in ("pid", "since")]


def test_a_second_lab_is_refused(up):
    with pytest.raises(LockHeld, match="the lab's daemon"), LabLock("another"):
        pytest.fail("two labs on one machine")


def test_a_dead_part_shows_and_the_next_up_starts_it_again(up):
    assert lab("stop", "redis", "--kill").returncode == 0
    stopped = lab("status")
    assert stopped.returncode == 1
    assert "stopped" in stopped.stdout

    assert "started again: redis" in lab("up").stderr

    assert lab("status").returncode == 0


def test_what_there_is_not_is_refused_by_name(up):
    assert "there is no part 'x'" in lab("stop", "x").stderr
    assert "there is no log of 'x'" in lab("logs", "x").stderr
    assert "Ready to accept connections" in lab("logs", "redis").stdout


def test_a_component_that_there_is_not_is_refused():
    failed = lab("up", "--only", "no-such-component")

    assert failed.returncode == 1
    assert "no-such-component" in failed.stderr


_FAILING = """
from lab import daemon
from lab.context import Component
from lab.hosts import network
from lab.hosts.interfaces import Part
def broken(lab):
    lab.parts.start(Part("broken", ("/bin/sh", "-c", "echo no such flag; exit 7")))
table = (Component("network", network.start), Component("breaks", broken, ("network",)), Component("never", broken, ("breaks",)))
daemon.main([], table)
"""


def test_a_component_that_fails_is_named_with_the_end_of_its_log_and_can_be_taken_down():
    daemon = subprocess.Popen([sys.executable, "-c", _FAILING])
    deadline = time.monotonic() + 20
    while daemon_pid() is None or status()["state"] == "starting":
        assert time.monotonic() < deadline
    now = status()
    shown = lab("status")

    assert lab("down").returncode == 0
    assert daemon.wait(20) == 0
    assert now["components"] == {"network": "ready", "breaks": "failed", "never": "waiting"}
    assert "component breaks failed: broken ended before it was ready: exit code 7" in now["error"]
    assert "no such flag" in now["error"]
    assert shown.returncode == 1
    assert "no such flag" in shown.stdout


def test_all_processes_killed_at_once_up_recovers_by_itself(up):
    for pid in (daemon_pid(), *Cgroups.of_this_machine().pids()):
        os.kill(pid, signal.SIGKILL)
    assert lab("status").returncode == 1
    assert leaks(STATE) != []

    recovered = lab("up", "--only", "redis")

    assert recovered.returncode == 0, recovered.stderr
    assert status()["parts"][0]["state"] == "running"


def test_a_database_killed_leaves_no_shared_memory():
    def segments():
        return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}

    before = segments()
    assert lab("up", "--only", "postgres").returncode == 0
    for pid in (daemon_pid(), *Cgroups.of_this_machine().pids()):
        os.kill(pid, signal.SIGKILL)

    assert lab("down").returncode == 0
    assert segments() <= before


@pytest.mark.parametrize("seed", range(4))
def test_up_killed_at_a_random_moment_leaves_what_down_can_take_away(seed):
    chance = random.Random(seed)
    starting = subprocess.Popen([LAB, "up", "--only", "redis,postgres"], stderr=subprocess.DEVNULL)
    time.sleep(chance.uniform(0.3, 3.0))  # the moment is what is tried, so nothing can be awaited
    starting.kill()
    starting.wait()
    daemon = daemon_pid()
    if daemon is not None and seed % 2:
        os.kill(daemon, signal.SIGKILL)

    ended = lab("down")

    assert ended.returncode == 0, ended.stderr
    assert leaks(STATE) == []
    assert holder() is None


def test_up_interrupted_goes_on_by_itself_and_can_be_followed_again():
    starting = subprocess.Popen([LAB, "up", "--only", "redis"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while daemon_pid() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)  # until it follows its daemon; before that there is nothing yet to go on by itself
    starting.send_signal(signal.SIGINT)

    _, said = starting.communicate(timeout=20)

    assert starting.returncode == 130, said
    assert "`lab up` follows it again" in said
    assert lab("up", "--only", "redis").returncode == 0


def test_the_daemon_takes_all_away_when_it_is_told_to_end(up):
    pid = daemon_pid()
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while daemon_pid() == pid:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert leaks(STATE) == []


def test_a_daemon_that_hangs_is_killed_and_swept(up):
    os.kill(daemon_pid(), signal.SIGSTOP)

    ended = subprocess.run(
        [LAB, "down"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "LAB_DOWN_WITHIN": "1"},
    )

    assert ended.returncode == 0, ended.stderr
    assert "it is killed" in ended.stderr
