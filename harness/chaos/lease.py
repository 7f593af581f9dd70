"""
The runner's lease on its run: renewed while it lives, released when all is undone, taken by the watchdog otherwise.

Three files in the run folder: `lease` (its time of change is the renewal; it holds the runner's pid and start time),
`lease.released`, `lease.taken`. Once it is taken nothing more may be harmed in the run: `UndoJournal.arm` refuses.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from harness.chaos.processes import Process, process, register_process
from harness.rundir import RunDir

__all__ = ["EXPIRES_AFTER", "RENEWED_EVERY", "Lease", "LeaseClock", "holder", "register_process", "taken"]

RENEWED_EVERY = 1.0
EXPIRES_AFTER = 5.0


class Lease:
    """The runner's side: a thread that renews the lease each second."""

    def __init__(self, run: RunDir, on_lost: Callable[[], None] | None = None) -> None:
        self._run = run
        self._on_lost = on_lost
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take the lease and begin to renew it; *on_lost* is called, in that thread, when the watchdog takes it away."""
        me = process(os.getpid())
        assert me is not None  # noqa: S101 - this process lives
        self._run.write_json(self._run.lease, {"pid": me.pid, "started": me.started})
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    @property
    def held(self) -> bool:
        """Whether the run is still this runner's: False once the watchdog has taken over."""
        return not taken(self._run)

    def release(self) -> None:
        """Give the lease back in order: the watchdog ends, unless something is still to be undone."""
        self._run.append_line(_released(self._run), {"pid": os.getpid()}, sync=True)
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _renew(self) -> None:
        while not self._stop.wait(RENEWED_EVERY):
            if taken(self._run):
                if self._on_lost is not None:
                    self._on_lost()
                return
            os.utime(self._run.lease)


class LeaseClock:
    """
    The watchdog's side: how long the lease has not been renewed, by the watchdog's own monotonic clock.

    Wall clocks jump, and a machine that stalls stalls both sides: a step between two looks counts for no more than
    *step* seconds, so that the runner has had a fair chance to renew.
    """

    def __init__(self, expires_after: float = EXPIRES_AFTER, step: float = 1.0) -> None:
        self._expires_after = expires_after
        self._step = step
        self._renewal: float | None = None
        self._looked: float | None = None
        self._age = 0.0

    def look(self, renewal: float | None, now: float) -> bool:
        """Whether the lease has expired; *renewal* is the file's time of change (None: no file), *now* monotonic."""
        if self._looked is not None:
            self._age += min(max(0.0, now - self._looked), self._step)
        if renewal is not None and renewal != self._renewal:
            self._age = 0.0
        self._renewal, self._looked = renewal, now
        return self._age > self._expires_after


def renewal(run: RunDir) -> float | None:
    """When the lease was renewed last, by the file's time of change; None when there is no lease."""
    try:
        return run.lease.stat().st_mtime
    except FileNotFoundError:
        return None


def holder(run: RunDir) -> Process | None:
    """The live process that holds the lease; None when it is gone."""
    try:
        document = json.loads(run.lease.read_text())
    except FileNotFoundError:
        return None
    found = process(document["pid"])
    return found if found is not None and found.started == document["started"] else None


def released(run: RunDir) -> bool:
    """Whether the runner gave the lease back."""
    return _released(run).exists()


def taken(run: RunDir) -> bool:
    """Whether the watchdog took the lease away."""
    return _taken(run).exists()


def take(run: RunDir, reason: str) -> None:
    """Take the lease away; on the disk when this returns."""
    run.append_line(_taken(run), {"pid": os.getpid(), "reason": reason}, sync=True)


def _released(run: RunDir) -> Path:
    return run.lease.with_name("lease.released")


def _taken(run: RunDir) -> Path:
    return run.lease.with_name("lease.taken")
