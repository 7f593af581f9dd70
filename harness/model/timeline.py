"""The record of one run on one clock: events, series and requests, all in seconds since the run's start."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Window:
    """A span of the timeline, *start* included, *end* excluded."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start

    def __contains__(self, at: float) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something that happened: *kind* is `noun.change`, *subject* names the thing, *value* holds the details.

    *at* is when this machine learnt of it; *stamp* is the source's own time (seconds since the run's start too),
    kept apart because Kubernetes stamps have steps of one second.
    """

    at: float
    source: str
    kind: str
    subject: str
    value: Mapping[str, Any] = field(default_factory=dict)
    stamp: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one metric with one set of labels, in order of time."""

    metric: str
    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.times)

    def within(self, window: Window) -> Series:
        """The samples that lie in *window*."""
        low, high = bisect_left(self.times, window.start), bisect_left(self.times, window.end)
        return Series(self.metric, self.labels, self.times[low:high], self.values[low:high])

    def at(self, time: float) -> float | None:
        """The last value at or before *time*; None when there is none yet."""
        index = bisect_right(self.times, time) - 1
        return self.values[index] if index >= 0 else None

    def first_at_least(self, value: float, window: Window) -> tuple[float, float] | None:
        """The first sample in *window* (time, value) that reaches *value*."""
        part = self.within(window)
        return next(((t, v) for t, v in zip(part.times, part.values, strict=True) if v >= value), None)

    def longest_gap(self, window: Window) -> float:
        """The longest stretch of *window* without a sample, its two edges included."""
        part = self.within(window)
        edges = (window.start, *part.times, window.end)
        return max(after - before for before, after in itertools.pairwise(edges))


@dataclass(frozen=True, slots=True)
class Requests:
    """
    Every request of the load, one row each, ordered by *start*; columns of equal length.

    *intended* is when the schedule wanted it (NaN where the profile has none), *start* when it was sent, *latency*
    seconds from *start* to the answer's last byte, *status* the HTTP status (0 = no answer), *error* why there was
    none or why the profile called it bad (empty = good), *zone* and *pod* who answered (empty = not said).
    """

    intended: Sequence[float] = ()
    start: Sequence[float] = ()
    latency: Sequence[float] = ()
    name: Sequence[str] = ()
    status: Sequence[int] = ()
    error: Sequence[str] = ()
    zone: Sequence[str] = ()
    pod: Sequence[str] = ()
    request_id: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, slots=True)
class Timeline:
    """All that verifiers may look at. Pure data: reading it needs no cluster, no root and no network."""

    plan: Plan
    environment: Mapping[str, Any]
    events: tuple[Event, ...]
    series: tuple[Series, ...]
    requests: Requests
    undo: tuple[Mapping[str, Any], ...] = ()
    journals: Mapping[str, Any] = field(default_factory=dict)

    def of(self, kind: str, subject: str | None = None, window: Window | None = None) -> Iterator[Event]:
        """The events of *kind*, in order of time."""
        return (
            event
            for event in self.events
            if event.kind == kind
            and (subject is None or event.subject == subject)
            and (window is None or event.at in window)
        )

    def first(self, kind: str, subject: str | None = None, window: Window | None = None) -> Event | None:
        """The first event of *kind*, or None."""
        return next(self.of(kind, subject, window), None)

    def last(self, kind: str, subject: str | None = None, window: Window | None = None) -> Event | None:
        """The last event of *kind*, or None."""
        return next(reversed(tuple(self.of(kind, subject, window))), None)

    def find(self, metric: str, **labels: str) -> tuple[Series, ...]:
        """The series of *metric* whose labels include *labels*."""
        return tuple(
            series
            for series in self.series
            if series.metric == metric and all(series.labels.get(key) == value for key, value in labels.items())
        )

    def stage(self, name: str) -> Window | None:
        """When load stage *name* really ran; None when it never began or its end was not seen."""
        began = self.first("load.stage", name)
        if began is None:
            return None
        ends: Iterable[Event] = (e for e in self.events if e.kind in ("load.stage", "load.ended") and e.at > began.at)
        ended = next(iter(ends), None)
        return Window(began.at, ended.at) if ended is not None else None

    def fault(self, name: str) -> Window | None:
        """From the first harm of experiment *name* to its last undoing (or its process's end); None if never."""
        began = self.first("fault.injected", name)
        if began is None:
            return None
        ended = self.last("fault.undone", name) or self.last("fault.ended", name)
        return Window(began.at, ended.at) if ended is not None and ended.at > began.at else None

    def lost(self, source: str, window: Window) -> float:
        """How many seconds of *window* the collector *source* was blind, by `observe.lost` / `observe.resumed`."""
        blind = 0.0
        since: float | None = None
        for event in self.events:
            if event.kind not in ("observe.started", "observe.lost", "observe.resumed") or event.subject != source:
                continue
            if event.kind == "observe.lost":
                since = event.at if since is None else since
            elif since is not None:
                blind += max(0.0, min(event.at, window.end) - max(since, window.start))
                since = None
        if since is not None:
            blind += max(0.0, window.end - max(since, window.start))
        return blind
