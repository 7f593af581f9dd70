"""The one lab that a machine may have: a lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.errors import LockHeld

# Not below LAB_STATE: names of namespaces and cgroups are the machine's, so a lab with another state folder collides too.
LOCK = Path("/var/lib/gameday/lab/lock")
DAEMON = "the lab's daemon"
_NAMED_WITHIN = 1.0
_ASKED_WITHIN = 0.2
_AGAIN = 0.01


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock: *what* it is, its process, and since when (Unix seconds)."""

    pid: int
    what: str
    since: float

    def __str__(self) -> str:
        return f"{self.what} (process {self.pid}, for {time.time() - self.since:.0f} s)"


class LabLock:
    """Held from `__enter__` to `__exit__`; raises LockHeld when another process has it."""

    def __init__(self, what: str, path: Path = LOCK) -> None:
        self._what = what
        self._path = path
        self.fd = -1

    @classmethod
    def inherited(cls, what: str, fd: int, path: Path = LOCK) -> Self:
        """The lock that our parent took and left us as *fd*, from now on in our name."""
        lock = cls(what, path)
        lock.fd = fd
        os.set_inheritable(fd, False)
        lock.name_holder(os.getpid())
        return lock

    def __enter__(self) -> Self:
        if self.fd < 0:
            self._take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # The file stays: were it removed, two processes could each lock a file of that name.
        os.ftruncate(self.fd, 0)
        self.leave()

    def leave(self) -> None:
        """Gives up our hold alone: a child that inherited the lock keeps it."""
        os.close(self.fd)
        self.fd = -1

    def name_holder(self, pid: int) -> None:
        """Writes into the lock that process *pid* holds it."""
        text = json.dumps(asdict(Holder(pid, self._what, time.time()))).encode()
        os.pwrite(self.fd, text, 0)
        os.ftruncate(self.fd, len(text))

    def _take(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + _ASKED_WITHIN
        while not _lock(fd, fcntl.LOCK_EX):
            # Whoever only asks for the holder has the lock too, for less than a moment.
            if time.monotonic() > deadline:
                os.close(fd)
                raise LockHeld(self._path, str(read_holder(self._path) or "an unknown process"))
            time.sleep(_AGAIN)
        self.fd = fd
        self.name_holder(os.getpid())


def holder(path: Path = LOCK) -> Holder | None:
    """Who holds the lock now; None when nobody does, whatever a dead holder left written there."""
    if not path.exists():
        return None
    with path.open() as lock:
        if _lock(lock.fileno(), fcntl.LOCK_SH):
            return None
    # Who has just taken the lock writes its name a moment later.
    deadline = time.monotonic() + _NAMED_WITHIN
    while (named := read_holder(path)) is None and time.monotonic() < deadline:
        time.sleep(_AGAIN)
    return named or Holder(0, "an unknown process", time.time())


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_holder(path: Path) -> Holder | None:
    """What is written in the lock's file, whether or not it is still true; None when it is not whole."""
    try:
        return Holder(**json.loads(path.read_text()))
    except (ValueError, TypeError, FileNotFoundError):
        return None
