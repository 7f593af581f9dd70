"""One experiment as a process of its own: plain `chaos run`. Never imports chaoslib, which installs signal handlers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.chaos.document import configured
from harness.chaos.lease import taken
from harness.chaos.preview import Preview, preview
from harness.chaos.processes import Registered, kill_session, register_process
from harness.model.errors import HarnessError
from harness.model.plan import Experiment, Plan
from harness.rundir import RunDir

__all__ = ["ChaosProcess", "ChaosResult", "Preview", "preview"]

STOP_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class ChaosResult:
    """
    How an experiment went. *failed* says, a line each, what Chaos Toolkit's `status` and exit code keep quiet about.

    *status* is Chaos Toolkit's, or `running`, or `no journal`; *deviated* is whether the steady state was lost for
    good. None of it is a verdict on the stack, but with anything in *failed* the fault was not what the plan says.
    """

    code: int | None
    status: str
    deviated: bool
    failed: tuple[str, ...]
    journal: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether all that the document says was done."""
        return self.status == "completed" and not self.failed


@dataclass(slots=True)
class ChaosProcess:
    """
    `chaos run` of one *experiment* of *plan*, recorded in *run*.

    What ran is kept as logs/chaos/<name>.json, what it said as <name>.log, what it noted as <name>.journal.json.
    """

    experiment: Experiment
    plan: Plan
    target_file: Path
    run: RunDir
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _registered: Registered | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it in a session of its own. HarnessError when the watchdog has taken over the run."""
        if taken(self.run):
            raise HarnessError(f"the watchdog has taken over run {self.run.path.name}: no fault is started any more")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file(".json").write_text(json.dumps(configured(self.experiment, self.plan), indent=1) + "\n")
        self._settings.write_text("{}\n")
        with self._file(".log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._registered = register_process(self.run, f"chaos {self.experiment.name}", self._process.pid)

    def command(self) -> list[str]:
        """What is run. Settings of the user's home are kept out: they could turn rollbacks off."""
        argv = [str(Path(sys.executable).with_name("chaos")), "--no-version-check", "--no-log-file"]
        argv += ["--settings", str(self._settings), "run", "--rollback-strategy", "always"]
        return [*argv, "--journal-path", str(self._file(".journal.json")), str(self._file(".json"))]

    def environment(self) -> dict[str, str]:
        """The child's environment: ours, with its place in the record."""
        return {
            **os.environ,
            "GAMEDAY_RUN": str(self.run.path.resolve()),
            "GAMEDAY_TARGET": str(self.target_file.resolve()),
            "GAMEDAY_EXPERIMENT": self.experiment.name,
            "GAMEDAY_SEED": str(self.plan.seed),
        }

    @property
    def pid(self) -> int | None:
        """Its process id, which is its session's too; None before the start."""
        return self._process.pid if self._process else None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    def stop(self, within: float = STOP_WITHIN) -> int | None:
        """
        End it if it still runs: with its rollbacks first, by SIGKILL after *within* seconds; returns the exit code.

        SIGUSR1, not SIGTERM: the exception that SIGTERM raises is taken for a failed activity when it comes in the
        middle of one, and the experiment then goes on.
        """
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGUSR1)
            try:
                process.wait(within)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._registered is not None:  # a process activity may have started others
            kill_session(self._registered.pid, self._registered.started)
        return process.returncode

    def result(self) -> ChaosResult:
        """How it went, from its exit code and its own journal."""
        code = self.poll()
        if self._process is not None and code is None:
            return ChaosResult(None, "running", deviated=False, failed=())
        try:
            journal = json.loads(self._file(".journal.json").read_text())
        except (FileNotFoundError, ValueError) as error:
            said = f"Chaos Toolkit left no journal (exit code {code}); see {self._file('.log')}: {error}"
            return ChaosResult(code, "no journal", deviated=False, failed=(said,))
        failed = tuple(failures(journal))
        return ChaosResult(code, str(journal.get("status")), bool(journal.get("deviated")), failed, journal)

    @property
    def _folder(self) -> Path:
        return self.run.logs.resolve() / "chaos"

    @property
    def _settings(self) -> Path:
        return self._folder / "settings.yaml"

    def _file(self, ending: str) -> Path:
        return self._folder / (quote(self.experiment.name, safe=" ") + ending)


def failures(journal: Mapping[str, Any]) -> Iterator[str]:
    """What went wrong by a Chaos Toolkit journal, a line each, whatever its status says."""
    status = journal.get("status")
    if status != "completed":
        yield f"ended with status {status}"
    states = journal.get("steady_states") or {}
    if journal.get("experiment", {}).get("steady-state-hypothesis"):
        for when in ("before", "after"):
            yield from _hypothesis(states.get(when), when)
    if not journal.get("run"):
        yield "the method was not run"
    for part in ("run", "rollbacks"):
        for activity in journal.get(part) or ():
            if activity.get("status") != "succeeded":
                name = activity.get("activity", {}).get("name", "?")
                yield f"{'rollback' if part == 'rollbacks' else 'activity'} {name!r} {activity.get('status')}: {_reason(activity)}"
    if journal.get("experiment", {}).get("rollbacks") and not journal.get("rollbacks"):
        yield "the rollbacks were not played"


def _hypothesis(state: Mapping[str, Any] | None, when: str) -> Iterator[str]:
    if not state:
        yield f"the steady state was not looked at {when} the method"
    elif not state.get("steady_state_met"):
        probes = state.get("probes") or ()
        said = [f"{p['activity']['name']}: {_reason(p)}" for p in probes if not p.get("tolerance_met")]
        yield f"steady state not met {when} the method: {'; '.join(said)}"


def _reason(activity: Mapping[str, Any]) -> str:
    """What its exception says, without the traceback; what it gave if there is none."""
    text = "".join(activity.get("exception") or ()).strip()
    if not text:
        return f"gave {activity.get('output')!r}"
    said = text.rpartition("chaoslib.exceptions.")[2].removeprefix("ActivityFailed: ")
    return said if said != text else text.splitlines()[-1]
