"""
The write-ahead undo journal of a run: what must be undone is on the disk before the harm is done.

It holds data, not code: the name of an undo and its arguments. Anybody can finish it: the experiment itself, the
watchdog when the runner died, a person with `gameday undo RUN`; a file lock lets only one of them at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.chaos.actions import FAULTS, ReadState, Restore
from harness.chaos.settle import settle
from harness.model.errors import HarnessError
from harness.rundir import RunDir
from harness.target.target import Target

SETTLES_WITHIN = 10.0  # AWS may show an older state for some seconds after a change


@dataclass(frozen=True, slots=True)
class Undo:
    """How one kind of harm is taken back, and how what it restores is read."""

    restore: Restore
    state: ReadState


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal; the last line with an *id* says how it stands."""

    id: str
    at: float
    state: str
    experiment: str
    undo: str
    arguments: Mapping[str, Any]
    before: Mapping[str, Any]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Undone:
    """How the replay of one entry went; *error* is empty when the state read back equals the one before the harm."""

    id: str
    experiment: str
    undo: str
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the state is what it was."""
        return not self.error

    def __str__(self) -> str:
        return f"{self.experiment}: {self.undo} {'restored' if self.ok else 'FAILED: ' + self.error}"


def known_undos() -> dict[str, Undo]:
    """Every undo of the fault table, its module imported."""
    return {f.undo: Undo(f.function(f.undo), f.function(f.state)) for f in FAULTS if f.undo}


class UndoJournal:
    """`undo.jsonl` of one run folder."""

    def __init__(
        self, run: RunDir, undos: Mapping[str, Undo] | None = None, settles_within: float = SETTLES_WITHIN
    ) -> None:
        self._run = run
        self._undos = undos
        self._settles_within = settles_within

    def arm(self, undo: str, arguments: Mapping[str, Any], before: Mapping[str, Any], experiment: str = "") -> str:
        """
        Record that *undo* will be due; on the disk when this returns, and only then may the harm be done.

        Raises HarnessError when the watchdog has taken the run over: nothing may be harmed any more.
        """
        entry = Entry(uuid.uuid4().hex[:12], round(time.time(), 6), "armed", experiment, undo, arguments, before)
        with self._locked():
            if self._run.lease.with_name("lease.taken").exists():
                raise HarnessError(
                    f"the watchdog has taken over run {self._run.path.name}; nothing more may be harmed in it",
                    hint="start a new run",
                )
            self._append(entry)
        return entry.id

    def done(self, id: str) -> None:  # noqa: A002 - the journal's own word
        """Record that *id* is undone and was seen to be."""
        with self._locked():
            self._append(self._now(self._entry(id), "done"))

    def failed(self, id: str, error: str) -> None:  # noqa: A002 - the journal's own word
        """Record that undoing *id* failed; it stays pending."""
        with self._locked():
            self._append(self._now(self._entry(id), "failed", error))

    def entries(self) -> list[Entry]:
        """How each entry stands, in the order of arming."""
        latest: dict[str, Entry] = {}
        for entry in self._read():
            if entry.id in latest or entry.state == "armed":
                latest[entry.id] = entry
        return list(latest.values())

    def pending(self, experiment: str | None = None) -> list[Entry]:
        """What is armed and not done, newest first, for harm is taken back in the reverse order."""
        return [
            entry
            for entry in reversed(self.entries())
            if entry.state != "done" and (experiment is None or entry.experiment == experiment)
        ]

    def replay(
        self,
        target: Target,
        source: str = "undo",
        *,
        experiment: str | None = None,
        again: Sequence[str] = (),
        seen: Mapping[str, Any] | None = None,
    ) -> list[Undone]:
        """
        Undo what is pending, and the done entries *again* too; one failure does not stop the rest.

        Idempotent, and alone: a second replay waits for the first, and then finds nothing left. An entry is done only
        once the state read back equals the one recorded before the harm. *seen* is recorded with `fault.undone`.
        """
        with self._locked():
            due = [e for e in reversed(self.entries()) if e.id in again and e.state == "done"]
            due += self.pending(experiment)
            return [self._undo(entry, target, source, seen or {}) for entry in due]

    def differences(self, target: Target, ids: Sequence[str]) -> list[str]:
        """What the state of *ids* is now against the one before their harm, a line each; empty when restored."""
        found = []
        for entry in self.entries():
            if entry.id not in ids:
                continue
            try:
                now = self._known(entry.undo).state(target, entry.arguments)
            except Exception as error:  # noqa: BLE001 - unreadable state is a finding: no evidence is never a pass
                found.append(f"{entry.experiment}: the state cannot be read: {_said(error)}")
                continue
            found += [f"{entry.experiment}: {line}" for line in _differences(entry.before, now)]
        return found

    def _undo(self, entry: Entry, target: Target, source: str, seen: Mapping[str, Any]) -> Undone:
        try:
            undo = self._known(entry.undo)
            undo.restore(target, entry.arguments, entry.before)
            now = settle(
                lambda: undo.state(target, entry.arguments),
                lambda state: not _differences(entry.before, state),
                self._settles_within,
            )
            error = "; ".join(_differences(entry.before, now))
        except Exception as problem:  # noqa: BLE001 - the next entry must still be undone; this one stays pending
            error = _said(problem)
        self._append(self._now(entry, "failed" if error else "done", error or None))
        if not error:
            value = {"undo": entry.undo, "id": entry.id, "targets": sorted(entry.arguments.get("targets", ())), **seen}
            self._run.append_event(source, "fault.undone", entry.experiment, value)
        return Undone(entry.id, entry.experiment, entry.undo, error)

    def _known(self, name: str) -> Undo:
        undos = known_undos() if self._undos is None else self._undos
        if name not in undos:
            raise HarnessError(f"no undo is called {name!r}", hint="undo it with the release that armed it")
        return undos[name]

    def _entry(self, id: str) -> Entry:  # noqa: A002 - the journal's own word
        for entry in self.entries():
            if entry.id == id:
                return entry
        raise HarnessError(f"{self._run.undo} has no entry {id!r}")

    @staticmethod
    def _now(entry: Entry, state: str, error: str | None = None) -> Entry:
        return replace(entry, at=round(time.time(), 6), state=state, error=error)

    def _read(self) -> Iterator[Entry]:
        """All whole lines. A torn one was never acknowledged by `arm`, so no harm followed from it."""
        if not self._run.undo.is_file():
            return
        for line in self._run.undo.read_bytes().split(b"\n"):
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue
            yield entry

    def _append(self, entry: Entry) -> None:
        self._drop_torn_line()
        self._run.append_line(self._run.undo, asdict(entry), sync=True)
        folder = os.open(self._run.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _drop_torn_line(self) -> None:
        """Cut what a killed writer left, lest the next line be glued to it."""
        if not self._run.undo.is_file():
            return
        whole = self._run.undo.read_bytes()
        kept = whole.rfind(b"\n") + 1
        if kept != len(whole):
            os.truncate(self._run.undo, kept)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all processes and threads; a holder that dies lets go."""
        descriptor = os.open(self._run.undo.with_name("undo.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
