"""
The processes of a run, known so surely that a stranger is never hit: by pid and start time, or by their environment.

Signals go through a pidfd that was opened before the identity was checked, so a pid that is recycled in between
means a signal to nobody.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.rundir import RunDir, read_lines

PROC = Path("/proc")
RUN_VARIABLE = "GAMEDAY_RUN"


@dataclass(frozen=True, slots=True)
class Process:
    """A live process: *started* in clock ticks since boot, its process group and session."""

    pid: int
    started: int
    group: int
    session: int


@dataclass(frozen=True, slots=True)
class Registered:
    """A process that the runner started, leader of its own session; *grace* seconds it may take to end in order."""

    name: str
    pid: int
    started: int
    grace: float


def process(pid: int) -> Process | None:
    """The live process *pid*; None when there is none, or only its zombie."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the command before it may hold spaces and brackets
    if fields[0] in ("Z", "X"):
        return None
    return Process(pid, started=int(fields[19]), group=int(fields[2]), session=int(fields[3]))


def register_process(run: RunDir, name: str, pid: int, grace: float = 0.0) -> Registered | None:
    """
    Record that *pid*, leader of a session of its own, belongs to *run*, so that the watchdog may end it.

    None when it has ended already.
    """
    found = process(pid)
    if found is None:
        return None
    entry = Registered(name, pid, found.started, grace)
    run.append_line(run.processes, asdict(entry), sync=True)
    return entry


def registered(run: RunDir) -> list[Registered]:
    """What was registered in *run*."""
    return [Registered(**document) for document in read_lines(run.processes)]


def members(run: RunDir, spare: frozenset[int] = frozenset()) -> dict[Process, float]:
    """
    The live processes of *run* with the grace of each, but for *spare*.

    Those of registered sessions, and those that bear the run's folder in their environment: a runner may have died
    between starting a process and registering it.
    """
    alive = [found for found in _alive() if found.pid not in spare]
    graces: dict[Process, float] = {}
    for entry in registered(run):
        graces |= dict.fromkeys(_session_of(alive, entry.pid, entry.started), entry.grace)
    folder = str(run.path.resolve())
    graces |= {found: 0.0 for found in alive if found not in graces and _run_of(found.pid) == folder}
    return graces


def end_processes(run: RunDir, spare: frozenset[int] = frozenset()) -> dict[Process, float]:
    """
    Kill the processes of *run* that get no grace, and ask the others to end; those, with their grace, are returned.

    None of those killed runs any more when this returns.
    """
    found = members(run, spare)
    for each, grace in found.items():
        send(each, signal.SIGTERM if grace else signal.SIGKILL)
    for each, grace in found.items():
        if not grace:
            await_end(each, 2.0)
    return {each: grace for each, grace in found.items() if grace}


def kill_after_grace(asked: dict[Process, float], since: float) -> None:
    """Kill those of *asked* that have not ended when their grace, counted from *since* (monotonic), is over."""
    for each, grace in asked.items():
        if not await_end(each, since + grace - time.monotonic()):
            send(each, signal.SIGKILL)


def send(each: Process, number: signal.Signals) -> bool:
    """Send it a signal; False when it is gone, or its pid is somebody else's by now."""
    with _handle(each) as descriptor:
        if descriptor is None:
            return False
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
    return True


def await_end(each: Process, seconds: float) -> bool:
    """Wait until it has ended, at most *seconds*; whether it has."""
    with _handle(each) as descriptor:
        if descriptor is None:
            return True
        ready, _, _ = select.select([descriptor], [], [], max(0.0, seconds))
        return bool(ready)


@contextmanager
def _handle(each: Process) -> Iterator[int | None]:
    try:
        descriptor = os.pidfd_open(each.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        now = process(each.pid)
        yield descriptor if now is not None and now.started == each.started else None
    finally:
        os.close(descriptor)


def kill_session(leader: int, started: int) -> None:
    """Kill what is left of the session that *leader*, begun at *started*, has led."""
    for each in _session_of(_alive(), leader, started):
        send(each, signal.SIGKILL)


def _session_of(alive: Iterable[Process], leader: int, started: int) -> list[Process]:
    """
    The live processes of *leader*'s session; none when its pid was recycled.

    A pid is not given out again while a session bears it, so members without a leader are the old leader's.
    """
    found = [each for each in alive if each.session == leader]
    return [] if any(each.pid == leader and each.started != started for each in found) else found


def _alive() -> list[Process]:
    found = (process(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return [each for each in found if each is not None]


def _run_of(pid: int) -> str | None:
    """The run folder in the environment of *pid*; None when it has none, is gone, or is another user's."""
    try:
        environment = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    prefix = f"{RUN_VARIABLE}=".encode()
    return next((os.fsdecode(v[len(prefix) :]) for v in environment if v.startswith(prefix)), None)
