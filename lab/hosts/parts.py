"""The supervisor: starts the lab's parts in their hosts and cgroups, waits until they are ready, sees them die."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, RLock, Thread

from lab.errors import LabClosing, LabError, PartFailed
from lab.hosts.cgroups import Cgroups
from lab.hosts.interfaces import Part, PartStatus
from lab.hosts.logs import open_log, read_tail
from lab.hosts.network import enter

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Enters the cgroups before the program exists, so that nothing that it starts is ever outside of them.
_LAUNCH = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 125; shift; done; shift; exec "$@"'
_EARLY = 0.1
_POLL = 0.1
NODES = "nodes"


@dataclass(slots=True)
class _Life:
    """One life of a part: from its start to its end."""

    part: Part
    process: subprocess.Popen[bytes]
    log_from: int
    ready: bool = False
    asked_to_end: bool = False
    reason: str = ""
    ended: Event = field(default_factory=Event)

    @property
    def state(self) -> str:
        if self.ended.is_set():
            return "stopped" if self.asked_to_end else "dead"
        return "running" if self.ready else "starting"


class Supervisor:
    """
    Parts as child processes of this one, each in a session and a cgroup of its own, its output in `logs/<name>.log`.

    A part that dies by itself stays dead, with its reason: nobody restarts it.
    """

    def __init__(self, state: Path, cgroups: Cgroups) -> None:
        self._logs = state / "logs"
        self._cgroups = cgroups
        self._lock = Lock()
        self._lives: dict[str, _Life] = {}
        self._starting: dict[str, RLock] = {}
        self._closing = False

    def start(self, part: Part) -> None:
        """
        Returns when *part* is ready; at once when it runs already, unchanged. A changed part is stopped first.

        Raises PartFailed when it ends early or is not ready in time (it is then stopped), LabClosing on the way down.
        """
        with self._turn(part.name):
            life = self._lives.get(part.name)
            if life is not None and not life.ended.is_set():
                if _program(life.part) == _program(part):
                    self._await_ready(life)
                    return
                self.stop(part.name)
            self._await_ready(self._launch(part))

    def stop(self, name: str, *, kill: bool = False) -> None:
        """Ends the part *name* and all that it started: by SIGTERM and then SIGKILL, or with *kill* by SIGKILL at once."""
        life = self._find(name)
        life.asked_to_end = True
        self._end(life, kill=kill)

    def start_again(self, name: str) -> None:
        """Starts the part *name* as it was started last."""
        self.start(self._find(name).part)

    def status(self) -> list[PartStatus]:
        """How each part fares, in the order of their first start."""
        with self._lock:
            lives = list(self._lives.values())
        return [self._status(life) for life in lives]

    def forget(self, host: str) -> None:
        """Drops the ended parts of *host*, which is gone, from the status."""
        with self._lock:
            for name, life in list(self._lives.items()):
                if life.part.host is not None and life.part.host.name == host and life.ended.is_set():
                    del self._lives[name]

    def owns(self, pid: int) -> bool:
        """Whether *pid* is a part's first process, whose exit code the supervisor waits for."""
        with self._lock:
            return any(life.process.pid == pid for life in self._lives.values())

    def close(self, *, within: float = 5.0) -> None:
        """
        Ends every part, the last one first, and starts none any more.

        Nodes are killed at once with their pods, as terminated instances are, so that no client keeps a server from
        ending. What is left after *within* seconds is the sweep's.
        """
        with self._lock:
            self._closing = True
            lives = [life for life in reversed(self._lives.values()) if not life.ended.is_set()]
        for life in lives:
            life.asked_to_end = True
        self._cgroups.kill(NODES)
        for life in lives:
            if not life.ended.is_set():
                _signal(life, signal.SIGTERM)
        deadline = time.monotonic() + within
        for life in lives:
            life.ended.wait(max(0.0, deadline - time.monotonic()))

    def _end(self, life: _Life, *, kill: bool) -> None:
        if not kill and not life.ended.is_set():
            _signal(life, signal.SIGTERM)
            life.ended.wait(life.part.stop_within)
        self._cgroups.kill(_group(life.part))
        if not life.ended.wait(life.part.stop_within):
            raise LabError(f"part {life.part.name} (process {life.process.pid}) is still there after SIGKILL")

    def _turn(self, name: str) -> RLock:
        with self._lock:
            return self._starting.setdefault(name, RLock())

    def _find(self, name: str) -> _Life:
        with self._lock:
            life = self._lives.get(name)
            known = ", ".join(self._lives)
        if life is None:
            raise LabError(f"there is no part {name!r}", hint=f"the parts are: {known or 'none'}")
        return life

    def _launch(self, part: Part) -> _Life:
        group = _group(part)
        self._cgroups.make(group)
        argv = _command(part)
        launcher = (
            "/bin/sh",
            "-c",
            _LAUNCH,
            f"lab-{part.name}",
            *map(str, self._cgroups.entrances(group)),
            "--",
            *argv,
        )
        with open_log(self._log(part.name), argv) as log, self._lock:
            # Under the lock from the check on: a lab that closes knows every process, and the orphans' thread too.
            if self._closing:
                raise LabClosing(f"part {part.name}")
            process = subprocess.Popen(
                launcher,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=part.cwd or "/",
                env=_environment(part),
                start_new_session=True,
            )
            life = _Life(part, process, log.tell())
            self._lives[part.name] = life
        Thread(target=_watch, args=(life,), name=f"part {part.name}", daemon=True).start()
        return life

    def _await_ready(self, life: _Life) -> None:
        deadline = time.monotonic() + life.part.ready_within
        doubt = ""
        wait = 0.0 if life.ready else _EARLY
        while not life.ended.wait(wait):
            if life.ready:
                return
            wait = _POLL
            try:
                if life.part.ready is None or life.part.ready():
                    life.ready = True
                    return
            except Exception as error:  # noqa: BLE001 - whatever a probe raises means "not yet"; it is said below
                doubt = f" (last: {type(error).__name__}: {error})"
            if time.monotonic() > deadline:
                failure = self._failure(life, f"was not ready within {life.part.ready_within:g} s{doubt}")
                life.reason = failure.why
                self._end(life, kill=False)
                raise failure
        if life.asked_to_end:
            raise self._failure(life, "was stopped before it was ready")
        raise self._failure(life, f"ended before it was ready: {life.reason}")

    def _failure(self, life: _Life, why: str) -> PartFailed:
        log = self._log(life.part.name)
        return PartFailed(life.part.name, why, log, read_tail(log, since=life.log_from))

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _status(self, life: _Life) -> PartStatus:
        part, state = life.part, life.state
        gone = state in ("stopped", "dead")
        return PartStatus(
            name=part.name,
            host=part.host.name if part.host is not None else "machine",
            zone=part.host.subnet.zone if part.host is not None else "",
            state=state,
            pid=None if gone else life.process.pid,
            memory=0 if gone else self._cgroups.memory(_group(part)),
            cpu=self._cgroups.cpu(_group(part)),
            reason=life.reason if state == "dead" else "",
        )


def _group(part: Part) -> str:
    return part.cgroup or f"parts/{part.name}"


def _program(part: Part) -> tuple[object, ...]:
    # What runs, without the probe: two equal probes are seldom the same object.
    return (part.argv, part.host, dict(part.env), part.cwd, part.user, _group(part))


def _command(part: Part) -> tuple[str, ...]:
    argv: tuple[str, ...] = part.argv
    if part.user is not None:
        who = pwd.getpwnam(part.user)
        argv = ("setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--init-groups", *argv)
    return enter(part.host.netns, *argv) if part.host is not None else argv


def _environment(part: Part) -> dict[str, str]:
    # Nothing of the caller's: a proxy or a kubeconfig in somebody's shell must not change how the lab behaves.
    home = pwd.getpwnam(part.user).pw_dir if part.user is not None else str(Path.home())
    return {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8", **part.env}


def _signal(life: _Life, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
        os.killpg(life.process.pid, number)


def _watch(life: _Life) -> None:
    code = life.process.wait()
    life.reason = life.reason or (f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")
    life.ended.set()


def not_running(parts: Iterable[PartStatus]) -> list[PartStatus]:
    """Those of *parts* that do not run."""
    return [part for part in parts if part.state != "running"]
