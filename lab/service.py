"""One lab from its start to its sweep: what the daemon does while it runs."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from lab.context import Component, Lab, Settings
from lab.control import ControlServer
from lab.errors import LabError
from lab.graph import Change, run_all
from lab.hosts.cgroups import Cgroups
from lab.hosts.network import FabricHosts
from lab.hosts.orphans import watch_orphans
from lab.hosts.parts import Supervisor
from lab.hosts.sweep import sweep
from lab.journal import Journal, write_status
from lab.tools.build import wait_for

_STATUS_EVERY = 1.0


class Service:
    """The lab of this process; the lock is held and the machine is clean when this is made."""

    def __init__(self, state: Path, components: Sequence[Component], settings: Settings) -> None:
        self._state_dir = state
        self._components = components
        self._since = time.time()
        self._state = "starting"
        self._error: dict[str, str] = {}
        self._problems: list[str] = []
        self._progress = dict.fromkeys((component.name for component in components), "waiting")
        self._journal = Journal(state)
        self._cgroups = Cgroups.of_this_machine()
        self._parts = Supervisor(state, self._cgroups)
        self._hosts = FabricHosts(forgotten=self._parts.forget)
        self._lab = Lab(state, self._hosts, self._parts, wait_for, self._say, settings)
        self._stop = threading.Event()
        self._removed: list[str] = []
        self._gone = threading.Event()

    def run(self) -> None:
        """Starts the lab, serves until asked to end, and sweeps; returns when nothing of the lab is left."""
        self._journal.write("lab.started", " ".join(self._progress))
        threading.excepthook = self._thread_died
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._stop.set())
        watch_orphans(self._parts.owns, self._gone)
        control = ControlServer(self._state_dir, self._handle)
        control.start()
        threading.Thread(target=self._start_all, name="components", daemon=True).start()
        while not self._stop.wait(_STATUS_EVERY):
            write_status(self._state_dir, self.describe())
        self._take_down()
        control.shutdown()
        control.server_close()

    def describe(self) -> dict[str, Any]:
        """How the lab is now, as `status.json` and the control socket tell it."""
        return {
            "state": self._state,
            "pid": os.getpid(),
            "since": self._since,
            "components": dict(self._progress),
            "parts": [asdict(part) for part in self._parts.status()],
            "total": {"memory": self._cgroups.memory(""), "cpu": self._cgroups.cpu("")},
            "problems": list(self._problems),
            **self._error,
        }

    def _start_all(self) -> None:
        try:
            run_all(self._components, self._start_one, self._report)
        except LabError as error:
            if self._state != "stopping":
                self._state, self._error = "failed", {"error": error.message, "hint": error.hint}
                self._journal.write("lab.failed", str(error))
        else:
            self._state = "running"
            self._journal.write("lab.ready", seconds=time.time() - self._since)

    def _start_one(self, component: Component) -> None:
        say = partial(self._say, component=component.name)
        component.start(replace(self._lab, say=say, binary=partial(wait_for, say=say)))

    def _report(self, change: Change) -> None:
        self._progress[change.component] = change.state
        if change.error is not None:
            traceback.print_exception(change.error)
        said = "" if change.error is None else str(change.error)
        self._journal.write(f"component.{change.state}", said, component=change.component, seconds=change.seconds)

    def _say(self, message: str, *, component: str = "") -> None:
        self._journal.write("component.said", message, component=component)

    def _thread_died(self, died: threading.ExceptHookArgs) -> None:
        # An actuator that is gone would leave a lab that looks well and does nothing.
        name = died.thread.name if died.thread is not None else "a thread"
        traceback.print_exception(died.exc_type, died.exc_value, died.exc_traceback)
        if not self._stop.is_set():
            self._problems.append(f"{name} ended: {died.exc_type.__name__}: {died.exc_value}")
            self._journal.write("thread.died", self._problems[-1])

    def _handle(self, request: Mapping[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "status":
                return self.describe()
            case "stop":
                self._parts.stop(request["part"], kill=bool(request.get("kill")))
                return {}
            case "start":
                self._parts.start_again(request["part"])
                return {}
            case "down":
                self._stop.set()
                self._gone.wait()
                return {"removed": self._removed}
            case unknown:
                raise LabError(f"the daemon knows no request {unknown!r}", hint="status, stop, start, down")

    def _take_down(self) -> None:
        self._state = "stopping"
        self._hosts.close()
        self._parts.close()
        try:
            self._removed = sweep(self._state_dir)
        finally:
            self._gone.set()
