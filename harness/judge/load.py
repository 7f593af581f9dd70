"""The load arrived as planned, and the machine that made it was not the bottleneck: without both, nothing else counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from harness.judge.record import load_window
from harness.judge.traffic import own_lateness
from harness.judge.verifier import Saying
from harness.model.plan import Plan
from harness.model.timeline import Series, Timeline, Window
from harness.model.verdict import Measure, Verdict

LEAST_STARTED = 0.9  # share of the offered journeys that must have been started in each stage
LEAST_STAGE = 0.9  # share of its planned length that each stage must have lasted
LATE_LOOP = 0.25  # seconds of event-loop lag above which latencies are the generator's own
LATE_START = 0.5  # seconds after its moment at which an idle user may begin a journey: lateness of the generator's own
SLUGGISH_LOOP = 0.05  # seconds of lag that, most of the time, explain why too few journeys were started
BUSY_LOOP = 0.95  # cores: one Python process can use no more than one
MOST_OFTEN = 0.1  # share of a stage in which the generator may be late or busy
CALM_EXITS = (0, 1)  # locust exits 1 when any request failed, which is the stack's affair

SATURATED = 0.95  # share of all cores that are busy
PRESSURE = 0.4  # share of time in which something waited for a core (PSI "some")
SUSTAINED = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the load of *window* was not what was planned; *own* when the generator, not the stack, was the cause."""

    window: Window
    because: str
    own: bool


def load_troubles(timeline: Timeline) -> list[Trouble]:
    """Everything that was wrong with the load, stage by stage."""
    found: list[Trouble] = []
    window = load_window(timeline)
    if window is None:
        return [Trouble(Window(0.0, math.inf), "the load never began", own=True)]
    codes = [event.value.get("code") for event in timeline.of("load.ended")]
    wrong = [code for code in codes if code is not None and code not in CALM_EXITS]
    if not codes:
        found.append(Trouble(Window(window.end, math.inf), "the load's end was not recorded", own=True))
    elif wrong:
        found.append(Trouble(window, f"the load's process ended with code {wrong[0]}", own=True))
    for stage in timeline.plan.load.stages:
        ran = timeline.stage(stage.name)
        if ran is None:
            began = timeline.first("load.stage", stage.name)
            since = began.at if began is not None else window.start + timeline.plan.stage_starts()[stage.name]
            said = f"stage {stage.name!r} did not run to its end"
            found.append(Trouble(Window(min(since, window.end), math.inf), said, own=True))
        elif ran.seconds < LEAST_STAGE * stage.seconds:
            said = f"stage {stage.name!r} lasted {ran.seconds:.0f} s of {stage.seconds:.0f} s"
            found.append(Trouble(ran, said, own=True))
        else:
            found += _in_stage(timeline, stage.name, ran)
    for event in timeline.of("load.overdue"):
        said = f"the load did not end by itself within {event.value.get('seconds') or 0:.0f} s of its last stage"
        found.append(Trouble(window, said, own=True))
    return found


def _in_stage(timeline: Timeline, name: str, window: Window) -> Iterator[Trouble]:
    late = _share_above(timeline.find("load.lag"), LATE_LOOP, window)
    if late > MOST_OFTEN:
        said = f"in stage {name!r} the generator's event loop lagged over {LATE_LOOP:g} s for {late:.0%} of the time"
        yield Trouble(window, said, own=True)
    tardy = _share_above(timeline.find("load.late"), LATE_START, window)
    if tardy > MOST_OFTEN:
        said = f"in stage {name!r} idle users began over {LATE_START:g} s late for {tardy:.0%} of the time"
        yield Trouble(window, said, own=True)
    busy = _share_above(timeline.find("load.cpu"), BUSY_LOOP, window)
    if busy > MOST_OFTEN:
        said = f"in stage {name!r} the generator's process was at its limit of one core for {busy:.0%} of the time"
        yield Trouble(window, said, own=True)
    yield from _shortfall(timeline, name, window)


def _shortfall(timeline: Timeline, name: str, window: Window) -> Iterator[Trouble]:
    """Too few journeys started, by the schedule; too few users, where the profile keeps none."""
    offered, started = (_growth(timeline.find(f"load.{what}"), window) for what in ("offered", "started"))
    if not timeline.find("load.offered"):
        planned = next(stage.users for stage in timeline.plan.load.stages if stage.name == name)
        users = max((value for one in timeline.find("load.users") for value in one.within(window).values), default=None)
        if users is None or users < LEAST_STARTED * planned:
            yield Trouble(window, f"in stage {name!r} there were {users or 0:.0f} of {planned} users", own=True)
    elif offered is None or started is None:
        yield Trouble(window, f"stage {name!r} has no record of the journeys offered and started", own=True)
    elif offered <= 0:
        yield Trouble(window, f"in stage {name!r} no journey was offered", own=True)
    elif started < LEAST_STARTED * offered:
        said = (
            f"in stage {name!r} {started:.0f} of {offered:.0f} offered journeys were started ({started / offered:.0%})"
        )
        sluggish = _share_above(timeline.find("load.lag"), SLUGGISH_LOOP, window) > 0.5
        yield Trouble(window, said, own=sluggish)


def _share_above(series: tuple[Series, ...], bound: float, window: Window) -> float:
    values = [value for one in series for value in one.within(window).values]
    return sum(value > bound for value in values) / len(values) if values else 0.0


def _growth(series: tuple[Series, ...], window: Window) -> float | None:
    """How much cumulative *series* grew in *window*, all workers together; None without samples in it."""
    parts = [(one, one.within(window)) for one in series]
    if not any(len(part) for _, part in parts):
        return None
    return sum(part.values[-1] - (one.at(window.start) or 0.0) for one, part in parts if len(part))


@dataclass(frozen=True, slots=True)
class LoadDelivered(Saying):
    """Every stage ran, what was offered was started, and the generator kept up: never fails, for it is no fault of the stack."""

    claim: ClassVar[str] = "load_delivered"
    needs: ClassVar[tuple[str, ...]] = ("load",)

    @classmethod
    def of(cls, plan: Plan) -> tuple[Self, ...]:
        """Always one."""
        return (cls(),) if plan.load.stages else ()

    def verify(self, timeline: Timeline) -> Verdict:
        """Pass when nothing was wrong with the load, else inconclusive."""
        window = load_window(timeline)
        troubles = load_troubles(timeline)
        if window is None or troubles:
            because = troubles[0].because + (f", and {len(troubles) - 1} more" if len(troubles) > 1 else "")
            hint = "look at logs/ of the run; give the generator a core of its own, or ask for fewer users"
            return self.unproven(because, hint=hint, window=window, evidence=[t.because for t in troubles])
        offered = _growth(timeline.find("load.offered"), window) or 0.0
        started = _growth(timeline.find("load.started"), window) or 0.0
        lateness = own_lateness(timeline.requests)
        measures = [
            Measure("requests", len(timeline.requests)),
            Measure("journeys offered", offered),
            Measure("journeys started", started, bound=LEAST_STARTED * offered),
            Measure("loop lag, worst", _worst(timeline.find("load.lag")), "s"),
        ]
        if len(lateness):
            measures.append(Measure("begun after intended, 99th percentile", float(np.quantile(lateness, 0.99)), "s"))
        if not len(timeline.requests):
            return self.unproven("no request was recorded", *measures, hint="look at logs/load.log", window=window)
        stages = len(timeline.plan.load.stages)
        journeys = f"{started:.0f} of {offered:.0f} offered journeys were started, " if offered else ""
        because = f"all {stages} stages ran; {journeys}{len(timeline.requests)} requests were answered or given up"
        return self.passed(because, *measures, window=window)


def _worst(series: tuple[Series, ...]) -> float | None:
    return max((value for one in series for value in one.values), default=None)


def saturated_spans(timeline: Timeline) -> list[Window]:
    """
    The spans of at least SUSTAINED seconds in which this machine's cores were all busy and, where the kernel tells,
    work waited for them.
    """
    busy = timeline.find("machine.cpu_busy")
    pressure = timeline.find("machine.cpu_pressure")
    spans: list[Window] = []
    for series in busy:
        since: float | None = None
        last = 0.0
        for time, value in zip(series.times, series.values, strict=True):
            waited = [one.at(time) for one in pressure]
            full = value >= SATURATED and all(wait is None or wait >= PRESSURE for wait in waited)
            if full:
                since = time if since is None else since
                last = time
            if since is not None and (not full or time == series.times[-1]):
                if last - since >= SUSTAINED:
                    spans.append(Window(since, last))
                since = None
    return spans


@dataclass(frozen=True, slots=True)
class MachineNotSaturated(Saying):
    """The machine that makes the load (and, in the lab, bears the stack) had CPU to spare; never fails, like the load."""

    claim: ClassVar[str] = "machine_not_saturated"
    needs: ClassVar[tuple[str, ...]] = ("machine",)

    @classmethod
    def of(cls, plan: Plan) -> tuple[Self, ...]:
        """Always one."""
        return (cls(),) if plan.load.stages else ()

    def verify(self, timeline: Timeline) -> Verdict:
        """Pass when the cores were never all busy for long while the load ran, else inconclusive."""
        window = load_window(timeline)
        if window is None:
            return self.unproven("the load never began, so there is nothing to hold the machine's CPU against")
        parts = [one.within(window) for one in timeline.find("machine.cpu_busy")]
        values = [value for part in parts for value in part.values]
        if not values:
            return self.unproven("this machine's CPU was not recorded", window=window)
        spans = [span for span in saturated_spans(timeline) if span.start < window.end and span.end > window.start]
        seconds = sum(span.seconds for span in spans)
        mean = float(np.mean(values))
        measures = (Measure("busy, mean", mean, "of all cores"), Measure("saturated", seconds, "s", SUSTAINED))
        if spans:
            where = ", ".join(f"{span.start:.0f} to {span.end:.0f} s" for span in spans)
            because = f"this machine's cores were all busy for {seconds:.0f} s ({where}): it, not the stack, may have been the bound"
            hint = "ask for fewer users, or run the generator on a machine of its own"
            return self.unproven(because, *measures, hint=hint, window=window)
        because = (
            f"this machine's cores were {mean:.0%} busy on average, and never all busy for {SUSTAINED:.0f} s on end"
        )
        return self.passed(because, *measures, window=window)
