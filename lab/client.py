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
from lab.control import request
from lab.errors import DaemonAway, LabError, LockHeld
from lab.hosts.logs import read_tail
from lab.hosts.sweep import claim, leaks, sweep
from lab.journal import read_progress
from lab.lock import DAEMON, LOCK, LabLock, holder

DAEMON_LOG = "logs/daemon.log"
_POLL = 0.1
_ANSWER_WITHIN = 10.0
_DOWN_WITHIN = float(os.environ.get("LAB_DOWN_WITHIN", "90"))


def daemon_pid() -> int | None:
    """The process id of the lab's daemon, if one runs; raises LockHeld when something else has the machine's lab."""
    held = holder()
    if held is None:
        return None
    if held.what != DAEMON:
        raise LockHeld(LOCK, str(held))
    return held.pid


def launch(state: Path, settings: Settings, only: Sequence[str]) -> int:
    """Starts a daemon that outlives us, and returns its process id once it has the lock; raises LabError if it fails."""
    claim(state)
    given = asdict(settings) | {"target_file": str(settings.target_file.absolute())}
    with (state / DAEMON_LOG).open("ab") as log:
        daemon = subprocess.Popen(
            (sys.executable, "-m", "lab.daemon", "--settings", json.dumps(given), "--only", ",".join(only)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    while daemon_pid() != daemon.pid:
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(_POLL)
            raise _ended(state)
    return daemon.pid


def status(state: Path) -> dict[str, Any]:
    """What the daemon says of the lab; `state` is `down` when there is none, with what a dead one left in `debris`."""
    if daemon_pid() is None:
        return {"state": "down", "components": {}, "parts": [], "problems": [], "debris": leaks(state)}
    return request(state, _ANSWER_WITHIN, do="status")


def follow(state: Path, pid: int) -> Iterator[dict[str, Any] | None]:
    """
    The lines of daemon *pid*'s progress as they are written, None when nothing is new, until all is up.

    Raises LabError when the lab fails or its daemon ends.
    """
    seen = 0
    while True:
        alive = daemon_pid() == pid
        lines = read_progress(state, pid)
        yield from lines[seen:]
        seen = len(lines)
        kinds = {line["kind"] for line in lines}
        if "lab.ready" in kinds:
            return
        if "lab.failed" in kinds:
            failed = next(line for line in lines if line["kind"] == "lab.failed")
            raise LabError(
                failed["message"], hint=f"all logs are in {state / 'logs'}; `lab down` takes the rest of the lab away"
            )
        if not alive:
            raise _ended(state)
        yield None
        time.sleep(_POLL)


def take_down(state: Path, say: Callable[[str], None]) -> list[str]:
    """
    Ends the daemon, whatever its condition, sweeps, and says what was removed.

    Raises LabError when something of the lab is still on the machine then.
    """
    pid = daemon_pid()
    removed: list[str] = []
    if pid is not None:
        say(f"asking the daemon (process {pid}) to take the lab down")
        try:
            removed += request(state, _DOWN_WITHIN, do="down")["removed"]
        except DaemonAway as away:
            say(f"{away.message}; it is killed")
            os.kill(pid, signal.SIGKILL)
        _await_end(pid)
    with LabLock("`lab down`"):
        removed += sweep(state, say=say)
        left = leaks(state)
    if left:
        raise LabError("\n  ".join(["of the lab these are left:", *left]), hint="run `lab down` again")
    return removed


def _await_end(pid: int) -> None:
    deadline = time.monotonic() + _ANSWER_WITHIN
    while daemon_pid() == pid:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline += _ANSWER_WITHIN
        time.sleep(_POLL)


def _ended(state: Path) -> LabError:
    log = state / DAEMON_LOG
    return LabError(f"the lab's daemon ended; the end of {log}:\n{read_tail(log)}", hint="`lab down`, then `lab up`")
