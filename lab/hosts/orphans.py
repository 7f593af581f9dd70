"""Grandchildren whose parent died become this process's children; this waits for them, so that no zombie stays."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

_PR_SET_CHILD_SUBREAPER = 36
_EVERY = 0.5


def become_subreaper() -> None:
    """Orphans below this process come to it, not to process 1, which does not wait for them on every machine."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def reap_orphans(owned: Callable[[int], bool]) -> list[int]:
    """
    Waits for the dead children that nobody else will wait for, and says which those were.

    Those are the zombies of another session than ours, which are not *owned*: what this process starts with subprocess
    stays in its session, and parts, which have sessions of their own, are owned by the supervisor.
    """
    session = os.getsid(0)
    gone = []
    for pid in _children():
        state, of = _state_and_session(pid)
        if state == "Z" and of != session and not owned(pid):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
                gone.append(pid)
    return gone


def watch_orphans(owned: Callable[[int], bool], stopped: Event) -> Thread:
    """A running thread that reaps orphans until *stopped*."""

    def watch() -> None:
        while not stopped.wait(_EVERY):
            reap_orphans(owned)

    thread = Thread(target=watch, name="orphans", daemon=True)
    thread.start()
    return thread


def _children() -> list[int]:
    pids: list[int] = []
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            pids += map(int, path.read_text().split())
    return pids


def _state_and_session(pid: int) -> tuple[str, int]:
    try:
        # The second field is a name in brackets that may hold spaces and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "", 0
    return fields[0], int(fields[3])
