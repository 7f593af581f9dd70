"""The load as a process of its own: plain Locust with the recorder beside the profile. Never imports locust."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import harness
from harness.load.schedule import dump_stages
from harness.model.errors import HarnessError, PlanError
from harness.model.plan import Plan
from harness.rundir import RunDir
from harness.target.target import Target

RECORDER = Path(__file__).with_name("recorder.py")
CHECKOUT = Path(harness.__file__).parents[1]
LIST_WITHIN = 30.0
STOP_TIMEOUT = 10  # how long users may finish their journeys once the load ends
STOP_WITHIN = STOP_TIMEOUT + 10.0

_FRAME = re.compile(r'^ +File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)


@dataclass(slots=True)
class LoadProcess:
    """
    One Locust process that drives *plan*'s load at *target* and records into *folder*.

    It ends by itself after the last stage, with exit code 0 also when requests failed: that is for the judge. It runs
    in a process group of its own, so that a Ctrl-C for the runner does not reach it before the runner decides.
    """

    plan: Plan
    target: Target
    folder: RunDir
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start Locust; what it says goes to logs/load.log."""
        self.folder.logs.mkdir(parents=True, exist_ok=True)
        with (self.folder.logs / "load.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def command(self) -> list[str]:
        """What is run."""
        files = f"{RECORDER},{profile_path(self.plan.load.profile)}"
        argv = [sys.executable, "-m", "locust", "-f", files, "--headless", "--only-summary"]
        argv += ["--host", self.target.entrypoints[0], "--exit-code-on-error", "0"]
        return [*argv, "--stop-timeout", str(STOP_TIMEOUT), "--loglevel", "INFO"]

    def environment(self) -> dict[str, str]:
        """The child's environment: ours, with its place in the record and without options meant for another Locust."""
        return {
            **_clean(os.environ),
            "GAMEDAY_RUN": str(self.folder.path.resolve()),
            "GAMEDAY_TARGET": str(self.target.file),
            "GAMEDAY_PROFILE": self.plan.load.profile,
            "GAMEDAY_STAGES": dump_stages(self.plan.load.stages),
            "GAMEDAY_SEED": str(self.plan.seed),
            "GAMEDAY_ENTRYPOINTS": json.dumps(list(self.target.entrypoints)),
        }

    @property
    def pid(self) -> int | None:
        """Its process id, which is its process group's too; None before the start."""
        return self._process.pid if self._process else None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    def stop(self, within: float = STOP_WITHIN) -> int | None:
        """
        End the load if it still runs: in order first, so that the record is whole, by SIGKILL after *within* seconds.

        Returns the exit code. Nothing to do, and None, if it was never started.
        """
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.terminate()
            deadline = time.monotonic() + within
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        self._kill_group()
        return process.wait()

    def _kill_group(self) -> None:
        """Take along what a profile may have started."""
        if self.pid is None:
            return
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # the usual case: all have ended


def check_profile(path: str) -> tuple[str, ...]:
    """
    The names of the user classes in the locustfile *path*, asked of Locust itself in a process of its own.

    Raises PlanError with file and line when it does not load or has no user to run.
    """
    file = profile_path(path)
    argv = [sys.executable, "-m", "locust", "-f", str(file), "--list", "--loglevel", "ERROR"]
    try:
        done = subprocess.run(
            argv,
            env=_clean(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIST_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PlanError(
            f"the profile does not finish loading within {LIST_WITHIN:.0f} s",
            file=str(path),
            hint="a locustfile only defines classes; move what waits or loops into a user's on_start",
        ) from error
    if done.returncode != 0:
        raise _load_error(path, file, done.stderr)
    users = tuple(line.strip() for line in done.stdout.splitlines() if line.startswith("    "))
    if not users:
        raise PlanError(
            "the profile has no user class to run",
            file=str(path),
            field="load.profile",
            hint="define a class that derives from locust.FastHttpUser or HttpUser, with at least one @task",
        )
    return users


def profile_path(path: str) -> Path:
    """The profile as an absolute path; PlanError when Locust could not be given it."""
    file = Path(path).resolve()
    if not file.is_file():
        raise PlanError(f"there is no file {file}", file=str(path), field="load.profile", hint="see loadprofiles/")
    if file.suffix != ".py" or "," in str(file):
        raise PlanError(
            "a profile is a Python file whose path has no comma",
            file=str(path),
            field="load.profile",
            hint="Locust takes several files separated by commas; rename the file or its folder",
        )
    return file


def _load_error(path: str, file: Path, said: str) -> HarnessError:
    """What Locust's traceback says: the last line of it, and the deepest line of the profile itself in it."""
    lines = [int(found["line"]) for found in _FRAME.finditer(said) if Path(found["file"]).resolve() == file]
    words = [line for line in said.strip().splitlines() if line.strip()]
    return PlanError(
        f"the profile does not load: {words[-1].strip() if words else 'Locust said nothing'}",
        file=str(path),
        line=lines[-1] if lines else None,
        hint=f"try it alone: locust -f {path} --list",
    )


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """*environment* for a Locust of ours: able to import the harness, unbuffered, without LOCUST_* options."""
    kept = {key: value for key, value in environment.items() if not key.startswith(("LOCUST_", "GAMEDAY_"))}
    paths = [str(CHECKOUT), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
