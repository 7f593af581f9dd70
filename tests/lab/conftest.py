"""
What the lab tests share: one session of them at a time on a machine, one lab for all that need a whole one, nothing left.

Tests that ask for `shared_lab` run last: some others start labs of their own, or none, and want the machine bare.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import client
from lab.context import STATE
from lab.hosts.sweep import leaks
from lab.lock import holder
from lab.stack import target

LAB = Path(sys.executable).with_name("lab")
TURN = Path("/run/lock/gameday-lab-tests")
# The fixtures by which a test has the machine's lab names to itself.
ALONE = frozenset({"machine", "shared_lab"})


@dataclass(frozen=True, slots=True)
class SharedLab:
    """A whole lab that is up; *target* is its target file."""

    target: Path
    state: Path

    @property
    def admin(self) -> Path:
        """The kubeconfig of who may do anything in the cluster."""
        return self.state / "pki" / "admin.kubeconfig"

    def do(self, *argv: str) -> None:
        """`lab` does as it is told."""
        done = subprocess.run([LAB, *argv], capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, f"lab {' '.join(argv)}: {done.stderr}"

    def status(self) -> dict[str, Any]:
        """What `lab status` says."""
        return client.status(self.state)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    items.sort(key=lambda item: "shared_lab" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """No other session's lab tests meddle with the lab's names meanwhile, and nobody's lab is left half removed."""
    if os.geteuid() != 0 or not any(ALONE & set(getattr(item, "fixturenames", ())) for item in request.session.items):
        yield
        return
    with TURN.open("a") as lock:
        _await_turn(lock, request)
        yield
        assert holder() is not None or leaks(STATE) == []


def _await_turn(lock: Any, request: pytest.FixtureRequest) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        reporter = request.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"waiting for another session's lab tests, which hold {TURN}")
        fcntl.flock(lock, fcntl.LOCK_EX)


@pytest.fixture(scope="session")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedLab]:
    """
    A lab that is brought up, and taken away in the end.

    One that is up already is somebody's: these tests put load on it and stop its parts, so they refuse it unless
    GAMEDAY_TEST_RUNNING_LAB=1 offers it; then it stays up.
    """
    if os.geteuid() != 0:
        pytest.fail("the lab needs root", pytrace=False)
    offered = os.environ.get("GAMEDAY_TEST_RUNNING_LAB") == "1"
    held = holder()
    if held is not None and not offered:
        hint = "take it down, or set GAMEDAY_TEST_RUNNING_LAB=1 if these tests may break and load it"
        pytest.fail(f"the machine's lab is taken: {held}; {hint}", pytrace=False)
    file = tmp_path_factory.mktemp("lab") / "target.yaml"
    shared, ours = SharedLab(file, STATE), held is None
    try:
        shared.do("up", "--quiet", "--target-file", str(file))
        if ours and not file.exists():
            ours = False  # `lab up` has followed a lab that somebody else started in the meantime
            pytest.fail(f"the machine's lab was taken just now: {holder()}", pytrace=False)
        if not ours:
            target.write(file, STATE)
        yield shared
    finally:
        if ours:
            shared.do("down", "--quiet")
            assert leaks(STATE) == [], "the lab was taken down, and this is left of it"
