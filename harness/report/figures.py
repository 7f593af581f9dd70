"""The timeline as figures: a few lines each over the seconds of the run, and the spans in which faults were on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.model.timeline import Event, Timeline

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart: *lines* by name, each as long as *times* (seconds since the run's start); None where nothing is known."""

    title: str
    unit: str
    times: tuple[float, ...]
    lines: Mapping[str, Values]
    stepped: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the run that is shaded or labelled."""

    name: str
    start: float
    end: float


def faults(timeline: Timeline) -> tuple[Span, ...]:
    """Each experiment from its first harm to its undoing."""
    spans = []
    for experiment in timeline.plan.experiments:
        window = timeline.fault(experiment.name)
        began = timeline.first("fault.injected", experiment.name)
        if began is not None:
            spans.append(Span(experiment.name, began.at, window.end if window else end_of(timeline)))
    return tuple(spans)


def stages(timeline: Timeline) -> tuple[Span, ...]:
    """Each load stage as it really ran."""
    spans = []
    for stage in timeline.plan.load.stages:
        window = timeline.stage(stage.name)
        if window is not None:
            spans.append(Span(stage.name, window.start, window.end))
    return tuple(spans)


def end_of(timeline: Timeline) -> float:
    """When the record ends."""
    return max((event.at for event in timeline.events), default=0.0)


def figures(timeline: Timeline) -> tuple[Figure, ...]:
    """All charts of a run, those without any sample left out."""
    seconds = np.arange(0, max(int(np.ceil(end_of(timeline))), 1) + 1)
    times = tuple(float(second) for second in seconds)
    drawn = [
        *_of_requests(timeline, times),
        _replicas(timeline, times),
        _nodes(timeline, times),
        _machine(timeline, times),
    ]
    return tuple(
        figure for figure in drawn if any(value is not None for line in figure.lines.values() for value in line)
    )


def _of_requests(timeline: Timeline, times: tuple[float, ...]) -> list[Figure]:
    requests = timeline.requests
    if len(requests) == 0:
        return []
    frame = pd.DataFrame(
        {
            "second": np.asarray(requests.start, dtype=float).astype(int),
            "latency": np.asarray(requests.latency, dtype=float) * 1000,
            "error": np.asarray(requests.error, dtype=object),
            "zone": np.asarray(requests.zone, dtype=object),
        }
    )
    count = frame.groupby("second").size()
    users = timeline.find("load.users")
    load: dict[str, Values] = {"requests/s": _on(count, times, nothing=0.0)}
    if users:
        load["users"] = _held(dict(zip(users[0].times, users[0].values, strict=True)), times)
    latency = frame.groupby("second")["latency"]
    bad = frame[frame["error"] != ""]
    zones = frame[(frame["zone"] != "") & (frame["zone"].notna())]
    return [
        Figure("Load", "per second", times, load),
        Figure(
            "Latency", "ms", times, {f"p{int(q * 100)}": _on(latency.quantile(q), times) for q in (0.5, 0.95, 0.99)}
        ),
        Figure("Failed requests by cause", "per second", times, _grouped(bad, "error", times)),
        Figure("Answers by zone", "per second", times, _grouped(zones, "zone", times)),
    ]


def _grouped(frame: pd.DataFrame, column: str, times: tuple[float, ...]) -> dict[str, Values]:
    """Rows per second for each value of *column*, the six most frequent by name."""
    names = frame[column].value_counts().index[:6]
    return {
        _short(str(name)): _on(frame[frame[column] == name].groupby("second").size(), times, nothing=0.0)
        for name in sorted(names)
    }


def _short(name: str) -> str:
    return name if len(name) <= 60 else name[:57] + "…"


def _replicas(timeline: Timeline, times: tuple[float, ...]) -> Figure:
    lines: dict[str, Values] = {}
    for subject in _subjects(timeline, "deployment."):
        changes = [e for e in timeline.events if e.kind.startswith("deployment.") and e.subject == subject]
        lines[f"{subject} desired"] = _held(_changes(changes, lambda e: e.value.get("spec")), times)
        lines[f"{subject} ready"] = _held(_changes(changes, lambda e: e.value.get("ready") or 0), times)
    return Figure("Replicas", "pods", times, lines, stepped=True)


def _nodes(timeline: Timeline, times: tuple[float, ...]) -> Figure:
    """Ready nodes by zone: each node's last known state, added up."""
    ready: dict[str, tuple[str, bool]] = {}
    by_zone: dict[str, dict[float, float]] = {}
    for event in timeline.events:
        if not event.kind.startswith("node."):
            continue
        zone = str(event.value.get("zone") or ready.get(event.subject, ("?", False))[0])
        ready[event.subject] = (zone, event.kind != "node.deleted" and bool(event.value.get("ready")))
        count = sum(1 for where, is_ready in ready.values() if where == zone and is_ready)
        by_zone.setdefault(zone, {})[event.at] = float(count)
    lines = {f"{zone} ready": _held(changes, times) for zone, changes in sorted(by_zone.items())}
    return Figure("Nodes", "nodes", times, lines, stepped=True)


def _machine(timeline: Timeline, times: tuple[float, ...]) -> Figure:
    wanted = {"machine.cpu_busy": "CPU busy", "machine.cpu_pressure": "CPU pressure", "load.lag": "generator lag (s)"}
    lines = {
        label: _held(dict(zip(series.times, series.values, strict=True)), times)
        for metric, label in wanted.items()
        for series in timeline.find(metric)[:1]
    }
    return Figure("This machine and the load generator", "share of all cores; s", times, lines)


def _subjects(timeline: Timeline, prefix: str) -> list[str]:
    return sorted({event.subject for event in timeline.events if event.kind.startswith(prefix)})


def _changes(events: Iterable[Event], value: Callable[[Event], object]) -> dict[float, float]:
    pairs = ((event.at, value(event)) for event in events)
    return {at: float(number) for at, number in pairs if isinstance(number, int | float)}


def _held(changes: Mapping[float, float], times: tuple[float, ...]) -> Values:
    """At each of *times* the last value known by then."""
    if not changes:
        return tuple(None for _ in times)
    held = pd.Series(changes).sort_index()
    index = np.searchsorted(held.index.to_numpy(), np.asarray(times), side="right") - 1
    return tuple(None if i < 0 else round(float(held.iloc[i]), 4) for i in index)


def _on(series: pd.Series, times: tuple[float, ...], nothing: float | None = None) -> Values:
    """The value of each second, *nothing* where the series has none."""
    known = dict(zip(series.index.astype(int).tolist(), series.astype(float).tolist(), strict=True))
    return tuple(round(known[int(t)], 2) if int(t) in known else nothing for t in times)
