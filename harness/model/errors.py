"""
Everything that the harness raises on purpose.

    HarnessError
    ├── PlanError        a plan, profile, experiment or target file is wrong; nothing was touched
    ├── TargetError      the target refuses, is unreachable, or is not what the plan needs
    ├── CollectorLost    a source of evidence went away
    └── CommandFailed    a program ended with an error; carries a pasteable command and its last words

A failed expectation is a verdict, never an exception.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence


class HarnessError(Exception):
    """Something that a person must know about: what happened, where, and what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class PlanError(HarnessError):
    """A file that a person wrote is wrong: *file*, *line* (1-based) and *field* (dotted) say where."""

    def __init__(
        self, message: str, *, file: str = "", line: int | None = None, field: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line
        self.field = field

    def __str__(self) -> str:
        place = self.file + (f":{self.line}" if self.line is not None else "")
        where = ": ".join(part for part in (place, self.field) if part)
        said = f"{where}: {self.message}" if where else self.message
        return f"{said}\n  hint: {self.hint}" if self.hint else said


class TargetError(HarnessError):
    """The target cannot be reached, refuses, or is not in the state that the plan needs."""


class CollectorLost(HarnessError):
    """A source of evidence went away; what depends on it turns inconclusive."""


class CommandFailed(HarnessError):
    """A program ended with an error; the message is a command to paste and the end of what it said."""

    def __init__(self, argv: Sequence[str], code: int | None, output: str, *, hint: str = "") -> None:
        tail = "\n".join(output.strip().splitlines()[-20:])
        super().__init__(f"exit code {code}: {shlex.join(argv)}\n{tail}", hint=hint)
        self.argv = tuple(argv)
        self.code = code
        self.output = output
