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


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock: *what* it is, its process, and since when (Unix seconds)."""

    pid: int
    what: str
    since: float

    def __str__(self) -> str:
        return f"{self.what} (process {self.pid}, for {time.time() - self.since:.0f} s)"


class LabLock:
    """Held from `__enter__` to `__exit__`; raises LockHeld at once when another process has it."""

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
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text, 0)

    def _take(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise LockHeld(self._path, str(read_holder(self._path) or "an unknown process")) from None
        self.fd = fd
        self.name_holder(os.getpid())


def holder(path: Path = LOCK) -> Holder | None:
    """Who holds the lock now; None when nobody does, whatever a dead holder left written there."""
    if not path.exists():
        return None
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return read_holder(path) or Holder(0, "an unknown process", time.time())
    return None


def read_holder(path: Path) -> Holder | None:
    """What is written in the lock's file, whether or not it is still true; None when it is not whole."""
    try:
        return Holder(**json.loads(path.read_text()))
    except (ValueError, TypeError, FileNotFoundError):
        return None
