"""The daemon as seen from outside: is there one, start one, ask it, follow it, take its lab down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.context import Settings
from lab.control import SOCKET, request
from lab.errors import DaemonAway, LabError, LockHeld
from lab.hosts.logs import read_tail
from lab.hosts.sweep import claim, leaks, sweep
from lab.journal import read_progress
from lab.lock import DAEMON, LOCK, LabLock, holder

DAEMON_LOG = "logs/daemon.log"
_POLL = 0.1
_ANSWER_WITHIN = 10.0
_KILLS = 10
_DOWN_WITHIN = float(os.environ.get("LAB_DOWN_WITHIN", "90"))


def daemon_pid() -> int | None:
    """The process id of the lab's daemon, if one runs; raises LockHeld when something else has the machine's lab."""
    held = holder()
    if held is None:
        return None
    if held.what != DAEMON:
        raise LockHeld(LOCK, str(held))
    return held.pid


def launch(state: Path, settings: Settings, only: Sequence[str]) -> None:
    """
    Starts a daemon that outlives us; nothing to do when one was started meanwhile.

    The lock is taken here and left to it, so that from its first moment on `lab down` knows whom to end, also when we
    are killed in between.
    """
    given = asdict(settings) | {"target_file": str(settings.target_file.absolute())}
    lock = LabLock(DAEMON)
    try:
        lock.__enter__()
    except LockHeld:
        if daemon_pid() is None:
            raise
        return
    claim(state)
    (state / SOCKET).unlink(missing_ok=True)
    # In an IPC namespace of its own: System V shared memory (PostgreSQL's) then ends with the lab, however that ends.
    argv = (
        "unshare",
        "--ipc",
        sys.executable,
        "-m",
        "lab.daemon",
        "--settings",
        json.dumps(given),
        "--only",
        ",".join(only),
    )
    with (state / DAEMON_LOG).open("ab") as log:
        daemon = subprocess.Popen(
            (*argv, "--lock", str(lock.fd)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            pass_fds=(lock.fd,),
        )
    lock.name_holder(daemon.pid)
    lock.leave()


def status(state: Path) -> dict[str, Any]:
    """What the daemon says of the lab; `state` is `down` when there is none, with what a dead one left in `debris`."""
    nothing: dict[str, Any] = {"components": {}, "parts": [], "problems": [], "total": {"memory": 0, "cpu": 0.0}}
    if daemon_pid() is None:
        return nothing | {"state": "down", "debris": leaks(state)}
    if not (state / SOCKET).exists():
        return nothing | {"state": "starting"}
    return nothing | request(state, _ANSWER_WITHIN, do="status")


def follow(state: Path) -> Iterator[dict[str, Any] | None]:
    """
    The lines of the daemon's progress as they are written, None when nothing is new, until all is up.

    Raises LabError when the lab fails or its daemon ends.
    """
    seen = 0
    while True:
        pid = daemon_pid()
        lines = read_progress(state, pid) if pid is not None else []
        yield from lines[seen:]
        seen = len(lines)
        kinds = {line["kind"]: line for line in lines}
        if "lab.ready" in kinds:
            return
        if "lab.failed" in kinds:
            hint = f"all logs are in {state / 'logs'}; `lab down` takes the rest of the lab away"
            raise LabError(kinds["lab.failed"]["message"], hint=hint)
        if pid is None:
            log = state / DAEMON_LOG
            raise LabError(f"the lab's daemon ended; the end of {log}:\n{read_tail(log)}")
        yield None
        time.sleep(_POLL)


def take_down(state: Path, say: Callable[[str], None]) -> list[str]:
    """
    Ends the daemon, whatever its condition, sweeps, and says what was removed.

    Raises LabError when something of the lab is still on the machine then.
    """
    removed: list[str] = []
    pid = daemon_pid()
    if pid is not None:
        say(f"asking the daemon (process {pid}) to take the lab down")
        try:
            removed += request(state, _DOWN_WITHIN, do="down")["removed"]
            _await_free(_ANSWER_WITHIN)
        except DaemonAway as away:
            say(f"{away.message}; it is killed")
    _kill_daemon()
    with LabLock("`lab down`"):
        removed += sweep(state, say=say)
        left = leaks(state)
    if left:
        raise LabError("\n  ".join(["of the lab these are left:", *left]), hint="run `lab down` again")
    return removed


def _kill_daemon() -> None:
    """Kills whoever holds the lock as the daemon, until nobody does; raises LabError when that does not come to pass."""
    for _ in range(_KILLS):
        pid = daemon_pid()
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):  # it ended by itself, or is only now being started under a new id
            os.kill(pid, signal.SIGKILL)
        _await_free(1.0)
    raise LabError(f"the lab's lock {LOCK} is held by {holder()}, which cannot be killed")


def _await_free(within: float) -> None:
    deadline = time.monotonic() + within
    while daemon_pid() is not None and time.monotonic() < deadline:
        time.sleep(_POLL)
