"""What an action or probe knows of the run that it is part of, from the environment of its process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.chaos.undo import UndoJournal
from harness.model.errors import HarnessError
from harness.rundir import RunDir
from harness.target.target import Target
from harness.target.targetfile import load_target

_HINTS = {
    "GAMEDAY_TARGET": "set it to a target file, such as the lab's target.yaml",
    "GAMEDAY_RUN": "set it to a folder for the record; without an undo journal in it nothing may be harmed",
}


@dataclass(frozen=True, slots=True)
class Session:
    """The run folder, the target, the experiment's name in the record, and the plan's seed."""

    run: RunDir
    target: Target
    experiment: str
    seed: int

    @classmethod
    def current(cls, environment: Mapping[str, str] = os.environ) -> Session:
        """The session of this process; HarnessError when a variable that it needs is not set."""
        target = target_of(environment)
        folder = Path(_need(environment, "GAMEDAY_RUN"))
        if not folder.is_dir():
            raise HarnessError(f"GAMEDAY_RUN is {folder}, which is no folder", hint=f"make it first: mkdir -p {folder}")
        seed = environment.get("GAMEDAY_SEED", "0")
        if not seed.lstrip("-").isdigit():
            raise HarnessError(f"GAMEDAY_SEED is {seed!r}, not a whole number")
        return cls(RunDir(folder), target, environment.get("GAMEDAY_EXPERIMENT", "experiment"), int(seed))

    @property
    def journal(self) -> UndoJournal:
        """The run's undo journal."""
        return UndoJournal(self.run)

    def arm(self, undo: str, arguments: Mapping[str, Any], before: Mapping[str, Any]) -> str:
        """Arm *undo* for this experiment; the harm may be done once this has returned."""
        return self.journal.arm(undo, arguments, before, self.experiment)

    def injected(
        self, action: str, targets: Sequence[str], details: Mapping[str, Any], *, stamp: float
    ) -> dict[str, Any]:
        """Record harm that was seen to be done, begun at *stamp* (Unix seconds), and give it back for the journal."""
        value = {"action": action, "targets": list(targets), "details": dict(details)}
        self.run.append_event("chaos", "fault.injected", self.experiment, value, stamp=stamp)
        return value


def target_of(environment: Mapping[str, str] = os.environ) -> Target:
    """The target of this process."""
    return load_target(Path(_need(environment, "GAMEDAY_TARGET")))


def _need(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise HarnessError(f"{name} is not set", hint=_HINTS[name])
    return value
