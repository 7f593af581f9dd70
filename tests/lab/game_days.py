"""The command `gameday` as tests use it: started on a plan of tests/lab/plans, watched by its record, ended, read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.rundir import RunDir, read_lines
from tests.lab.conftest import SharedLab

ROOT = Path(__file__).parents[2]
GAMEDAY = Path(sys.executable).with_name("gameday")
PLANS = Path(__file__).with_name("plans")
LONGEST = 600.0


def await_that(true: Callable[[], Any], within: float, what: str) -> Any:
    """What *true* gave once it gave anything."""
    deadline = time.monotonic() + within
    while not (found := true()):
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(0.05)
    return found


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


def gameday(*argv: str | Path) -> Said:
    """`gameday` with *argv*, to its end."""
    done = subprocess.run(
        [GAMEDAY, *argv], cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False, timeout=LONGEST
    )
    return Said(done.returncode, done.stdout, done.stderr)


def _environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "400"}  # so that no sentence is folded


@dataclass(slots=True)
class GameDay:
    """A `gameday run` under way, in a process group of its own, as a shell starts it; *reports* holds only its folder."""

    process: subprocess.Popen[bytes]
    reports: Path
    log: Path

    @property
    def folder(self) -> RunDir:
        """Its run folder."""
        (only,) = [path for path in self.reports.iterdir() if path.is_dir()]
        return RunDir(only)

    def events(self, kind: str, subject: str | None = None) -> list[dict[str, Any]]:
        """What it has recorded of *kind*."""
        folders = [path for path in self.reports.iterdir() if path.is_dir()]
        found = [event for path in folders for event in read_lines(path / "events.jsonl")]
        return [e for e in found if e["kind"] == kind and subject in (None, e["subject"])]

    def await_event(self, kind: str, subject: str | None = None, within: float = 420.0) -> dict[str, Any]:
        """The first event of *kind*; fails at once when the command ends without."""

        def seen() -> list[dict[str, Any]]:
            ended = self.process.poll()
            found = self.events(kind, subject)
            assert found or ended is None, f"ended with {ended} and no {kind} {subject or ''}:\n{self.said}"
            return found

        return dict(await_that(seen, within, f"{kind} {subject or ''}")[0])

    def processes(self, name: str) -> int:
        """The process id that was registered as *name*."""
        (pid,) = [entry["pid"] for entry in read_lines(self.folder.processes) if entry["name"] == name]
        return int(pid)

    def end(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(LONGEST)

    @property
    def said(self) -> str:
        """All that it said so far."""
        return self.log.read_text()

    @property
    def verdicts(self) -> Verdicts:
        """What the judge said of it."""
        return Verdicts.of(self.folder.path)


@contextmanager
def running(plan: str, lab: SharedLab, reports: Path) -> Iterator[GameDay]:
    """`gameday run` of tests/lab/plans/*plan*.yaml; a test that fails meanwhile ends it in order, undo and all."""
    reports.mkdir()
    log = reports / "said.log"
    argv = [GAMEDAY, "run", PLANS / f"{plan}.yaml", "--target", lab.target, "--reports", reports]
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield GameDay(process, reports, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(LONGEST)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts in a run folder."""

    outcome: str
    found: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, folder: Path) -> Verdicts:
        """Those that were written last."""
        document = json.loads((folder / "verdicts.json").read_text())
        return cls(document["outcome"], tuple(document["verdicts"]))

    def that(self, outcome: str) -> list[str]:
        """The claims that stand so, as the table names them, in its order."""
        return [self._title(verdict) for verdict in self.found if verdict["outcome"] == outcome]

    def why(self, title: str) -> str:
        """The reason of the one verdict *title*, with its hint."""
        (verdict,) = [verdict for verdict in self.found if self._title(verdict) == title]
        return f"{verdict['because']}\n{verdict['hint']}"

    @staticmethod
    def _title(verdict: dict[str, Any]) -> str:
        return f"{verdict['claim']}: {verdict['subject']}" if verdict["subject"] else str(verdict["claim"])
