"""
What goes wrong in the lab, said for people: what happened, where, and what to do.

    LabError
    ├── CommandFailed     a program ended with an error
    ├── PartFailed        a part ended, or was not ready in time
    ├── ComponentFailed   a component of the table could not be started
    ├── LabClosing        something was asked of a lab that is being taken down
    ├── LockHeld          another process has the machine's one lab
    └── DaemonAway        the daemon does not answer
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

TAIL = 20


def last_lines(text: str, count: int = TAIL) -> str:
    """The last *count* lines of *text*, without what surrounds them."""
    return "\n".join(text.strip().splitlines()[-count:])


class LabError(Exception):
    """Something that a person must know about; *hint* says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class CommandFailed(LabError):
    """A program ended with an error: a command to paste, and the end of what it said."""

    def __init__(self, argv: Sequence[str], code: int | None, output: str, *, feed: str = "") -> None:
        ended = "did not end in time" if code is None else f"exit code {code}"
        # What went in on standard input is part of the command: without it nobody can repeat the failure.
        given = f" <<'.'\n{feed.rstrip()}\n." if feed else ""
        super().__init__(f"{ended}: {shlex.join(argv)}{given}\n{last_lines(output)}")
        self.code = code
        self.output = output


class PartFailed(LabError):
    """A part ended early or was not ready in time; shows the end of its log."""

    def __init__(self, name: str, why: str, log: Path, said: str) -> None:
        super().__init__(f"{name} {why}; the end of {log}:\n{last_lines(said) or '(it said nothing)'}")
        self.name = name
        self.why = why
        self.log = log


class ComponentFailed(LabError):
    """A component of the table could not be started; *cause* says why."""

    def __init__(self, name: str, cause: BaseException) -> None:
        said = str(cause) if isinstance(cause, LabError) else f"{type(cause).__name__}: {cause}"
        super().__init__(f"component {name} failed: {said}")
        self.name = name


class LabClosing(LabError):
    """The lab is being taken down, so nothing more may be started in it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was not started: the lab is going down")


class LockHeld(LabError):
    """Another process has the one lab that a machine may have."""

    def __init__(self, path: Path, owner: str) -> None:
        super().__init__(
            f"the lab of this machine is in use by {owner} ({path})",
            hint="only one lab may run on a machine: see `lab status`, or take it down with `lab down`",
        )
        self.owner = owner


class DaemonAway(LabError):
    """The lab's daemon does not answer on its control socket."""
