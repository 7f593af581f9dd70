"""How each pod and node fared over time, pieced together from its `noun.added`, `.changed` and `.deleted` events."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.model.timeline import Timeline

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """One thing's states in order of time; None from when it was gone."""

    subject: str
    uid: str
    times: tuple[float, ...]
    states: tuple[State | None, ...]

    @property
    def born(self) -> float:
        """When it was first seen."""
        return self.times[0]

    def at(self, time: float) -> State | None:
        """Its state at *time*; None when it was not there."""
        index = bisect_right(self.times, time) - 1
        return self.states[index] if index >= 0 else None

    def when(self, true: Callable[[State], bool], since: float) -> float | None:
        """The first moment from *since* on at which it was there and *true* of it; None if never."""
        now = self.at(since)
        if now is not None and true(now):
            return since
        later = zip(self.times, self.states, strict=True)
        return next((time for time, state in later if time > since and state is not None and true(state)), None)

    def gone(self, since: float) -> float | None:
        """When it was first gone or being deleted, from *since* on; None if never."""
        now = self.at(since)
        if now is None or now.get("deleting"):
            return since
        later = zip(self.times, self.states, strict=True)
        return next((t for t, s in later if t > since and (s is None or s.get("deleting"))), None)


def histories(timeline: Timeline, noun: str) -> tuple[History, ...]:
    """The histories of all *noun*s (`pod`, `node`), each life of a name by its own uid where it has one."""
    lives: dict[tuple[str, str], list[tuple[float, State | None]]] = {}
    latest: dict[str, str] = {}
    for event in timeline.events:
        what, _, change = event.kind.partition(".")
        if what != noun or change not in ("added", "changed", "deleted"):
            continue
        uid = str(event.value.get("uid") or latest.get(event.subject, ""))
        latest[event.subject] = uid
        lives.setdefault((event.subject, uid), []).append((event.at, None if change == "deleted" else event.value))
    return tuple(
        History(subject, uid, tuple(at for at, _ in life), tuple(state for _, state in life))
        for (subject, uid), life in lives.items()
    )


def is_ready(state: State) -> bool:
    """Whether a pod or node is ready and not on its way out."""
    return state.get("ready") is True and not state.get("deleting")


def changes(things: tuple[History, ...], since: float, until: float) -> Iterator[float]:
    """The moments from *since* to *until* at which any of *things* changed, *since* itself first."""
    yield since
    yield from sorted({time for thing in things for time in thing.times if since < time <= until})
