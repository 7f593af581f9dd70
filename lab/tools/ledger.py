"""What the build leaves for other processes to see: its lock, its log, and what it is doing."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.tools.cache import cache
from lab.tools.progress import Progress, Style

TAIL = 25  # lines of the log that a person is shown


class BuildFailed(RuntimeError):
    """A program could not be built, or nobody is building it."""


def log_file() -> Path:
    """Everything that `go build` said in the newest build."""
    return cache() / "build.log"


def log_tail() -> str:
    """The end of the log, as a person is shown it."""
    try:
        lines = log_file().read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "(there is no log)"
    return "\n".join(lines[-TAIL:]) or "(the log is empty)"


def being_built() -> bool:
    """Whether a live builder holds the lock."""
    try:
        with _lock_file().open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # the cache does not exist: nobody ever built
        return False
    return False


@contextmanager
def only_builder(style: Style = "auto") -> Iterator[None]:
    """The builder's lock, waited for if need be; it goes free with this process however that ends."""
    cache().mkdir(parents=True, exist_ok=True)
    with _lock_file().open("a") as lock:
        if not _taken(lock.fileno()):
            with Progress("another build is running; waiting for it", style) as progress:
                while not _taken(lock.fileno()):
                    progress.doing(doing())
                    time.sleep(0.25)
        yield


def doing() -> str:
    """What the build is doing, or did last; empty where none ever ran."""
    try:
        return str(json.loads(_state_file().read_text())["doing"])
    except FileNotFoundError:
        return ""


def set_doing(text: str) -> None:
    """Leave *text* for whoever asks what the build is doing."""
    new = _state_file().with_suffix(".new")
    new.write_text(json.dumps({"doing": text}))
    new.replace(_state_file())


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_file() -> Path:
    return cache() / "build.lock"


def _state_file() -> Path:
    return cache() / "build.json"
