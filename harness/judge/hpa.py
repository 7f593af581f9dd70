"""The HorizontalPodAutoscaler adds ready pods soon enough when load calls for them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from harness.judge.record import recorded_until
from harness.judge.verifier import Saying
from harness.model.claims import HpaScalesOut
from harness.model.plan import Plan
from harness.model.timeline import Event, Series, Timeline, Window
from harness.model.verdict import Measure, Verdict

TOLERANCE = 0.1  # the controller's own: no change while utilization is within 10 % of the target
CPU_BLIND = 45.0  # seconds: three of metrics-server's and most scrape configurations' intervals
CPU_METRICS = ("container_cpu_usage_seconds_total", "pod_cpu_usage_seconds_total", "process_cpu_seconds_total")


@dataclass(frozen=True, slots=True)
class HpaScaleOut(Saying):
    """
    The pods' CPU called for more, and the deployment had as many ready as expected within the bound.

    The scaled deployment is taken to bear the autoscaler's name, else the autoscaler's own count of replicas is used.
    """

    expected: HpaScalesOut

    claim: ClassVar[str] = "hpa_scales_out"
    needs: ClassVar[tuple[str, ...]] = ("kubernetes", "prometheus", "load")
    rests_on: ClassVar[tuple[str, ...]] = ("load", "machine")
    less_load_excuses: ClassVar[bool] = True

    @property
    def subject(self) -> str:
        """The autoscaler and the stage."""
        return f"{self.expected.hpa} ({self.expected.stage})"

    @classmethod
    def of(cls, plan: Plan) -> Iterator[Self]:
        """One for each such expectation."""
        return (cls(HpaScalesOut(**e.parameters)) for e in plan.expectations if e.verifier == cls.claim)

    def verify(self, timeline: Timeline) -> Verdict:
        """Fail when it could not or did not scale although called for; inconclusive when nothing called for it."""
        began = timeline.first("load.stage", self.expected.stage)
        if began is None:
            return self.unproven(f"stage {self.expected.stage!r} never began", hint="look at logs/load.log of the run")
        bound = Window(began.at, began.at + self.expected.within)
        window = Window(bound.start, min(bound.end, max(recorded_until(timeline), bound.start)))
        seen = _states(timeline, self.expected.hpa, window)
        if not seen:
            hint = "check the name (namespace/name), and that the target's namespaces include it"
            return self.unproven(f"no HorizontalPodAutoscaler {self.expected.hpa} was seen", hint=hint, window=window)
        cannot = self._cannot(seen[-1].value, _since(timeline, seen[-1]))
        if cannot is not None:
            return cannot
        cores = _cores(timeline, self.expected.hpa, window)
        if cores is None:
            because = f"no CPU usage of {self.expected.hpa}'s pods was recorded for over {CPU_BLIND:.0f} s of {window.start:.0f} to {window.end:.0f} s, so nothing shows whether it was called for"
            return self.unproven(
                because, hint="see that Prometheus scrapes the pods' or containers' CPU", window=window
            )
        return self._timed(timeline, seen, window, cores)

    def _cannot(self, latest: Mapping[str, Any], since: float) -> Verdict | None:
        """
        The failure of an autoscaler that is not allowed as many as expected.

        Its evidence is the moment *since* when these are its bounds, so that it stands whatever became of the load: the
        worse the missing pods are missed, the less load gets through.
        """
        window = Window(since, since)
        least, most = latest.get("min"), latest.get("max")
        hint = f"raise maxReplicas of {self.expected.hpa} to at least {self.expected.replicas}"
        if least is not None and least == most:
            return self.failed(
                f"maxReplicas equals minReplicas ({most}): it can't scale",
                _bound("maxReplicas", most, self.expected.replicas),
                hint=hint,
                window=window,
            )
        if most is not None and most < self.expected.replicas:
            because = f"maxReplicas is {most}: it can't reach {self.expected.replicas} replicas"
            return self.failed(because, _bound("maxReplicas", most, self.expected.replicas), hint=hint, window=window)
        return None

    def _timed(self, timeline: Timeline, seen: list[Event], window: Window, cores: float) -> Verdict:
        goal = self.expected.replicas
        counts = _counts(timeline, self.expected.hpa)
        before = _at(counts, window.start)
        reached = next((time for time, count in counts if time in window and count >= goal), None)
        asked = next((e.at for e in seen if (e.value.get("desired") or 0) >= goal), None)
        most = max([count for time, count in counts if time in window] + [before or 0])
        peak, target = _utilization(seen)
        measures = (
            Measure("ready at the stage's start", before),
            Measure("ready, most", most, "replicas", goal),
            Measure(
                "desired reached",
                None if asked is None else max(0.0, asked - window.start),
                "s after the stage's start",
            ),
            Measure("ready reached", None if reached is None else reached - window.start, "s", self.expected.within),
            Measure("utilization, peak", peak, "%", target),
            Measure("CPU of its pods", cores, "cores"),
            Measure("expected by the formula", _formula(seen), "replicas"),
        )
        if before is not None and before >= goal:
            because = (
                f"{before:.0f} replicas were ready before the stage began: nothing shows that it scales out to {goal}"
            )
            return self.unproven(
                because, *measures, hint="let it settle before the run, or expect more replicas", window=window
            )
        if reached is not None:
            span = Window(window.start, reached)
            because = f"{goal} ready after {reached - window.start:.0f} s (bound {self.expected.within:.0f} s), from {before or 0:.0f}; utilization peaked at {peak or 0:.0f} %"
            return self.passed(because, *measures, window=span)
        return self._missed(seen, window, measures)

    def _missed(self, seen: list[Event], window: Window, measures: tuple[Measure, ...]) -> Verdict:
        goal, most = self.expected.replicas, measures[1].value
        if window.seconds < self.expected.within:
            because = f"the record ends {window.seconds:.0f} s into the {self.expected.within:.0f} s, with {most:.0f} replicas ready"
            return self.unproven(because, *measures, window=window)
        inactive = [e for e in seen if e.value.get("scaling_active") is False]
        if inactive:
            hint = "see `kubectl describe hpa`, and that metrics-server answers"
            because = f"{most:.0f} of {goal} replicas after {self.expected.within:.0f} s: the autoscaler had no metric to act on ({_why_inactive(inactive[-1])})"
            return self.failed(because, *measures, hint=hint, window=window)
        peak, target = _utilization(seen)
        if peak is None or target is None:
            because = f"{most:.0f} of {goal} replicas after {self.expected.within:.0f} s, and its utilization was not recorded"
            return self.unproven(
                because, *measures, hint="this verifier reads autoscalers on CPU utilization", window=window
            )
        if peak <= target * (1 + TOLERANCE):
            because = f"the load never called for it: utilization peaked at {peak:.0f} %, its target is {target:.0f} % (± {TOLERANCE:.0%})"
            return self.unproven(because, *measures, hint="ask for more users in this stage", window=window)
        because = f"only {most:.0f} of {goal} replicas were ready {self.expected.within:.0f} s after the stage began, although utilization peaked at {peak:.0f} % (target {target:.0f} %)"
        hint = "see whether pods were Pending, how long they took to be ready, and the autoscaler's `behavior`"
        return self.failed(because, *measures, hint=hint, window=window)


def _bound(name: str, value: Any, bound: float) -> Measure:
    return Measure(name, value, "replicas", bound)


def _states(timeline: Timeline, hpa: str, window: Window) -> list[Event]:
    """The autoscaler's states that held in *window*: the last one before it, and each that came in it."""
    states = [e for e in timeline.events if e.kind in ("hpa.added", "hpa.changed") and e.subject == hpa]
    earlier = [e for e in states if e.at < window.start]
    return earlier[-1:] + [e for e in states if e.at in window]


def _since(timeline: Timeline, latest: Event) -> float:
    """Since when the autoscaler has had the bounds that it has in *latest*."""
    since = latest.at
    for event in reversed(timeline.events):
        if event.at > latest.at or event.subject != latest.subject or not event.kind.startswith("hpa."):
            continue
        if any(event.value.get(bound) != latest.value.get(bound) for bound in ("min", "max")):
            break
        since = event.at
    return since


def _counts(timeline: Timeline, hpa: str) -> list[tuple[float, float]]:
    """Ready replicas over time: of the deployment of the same name, else what the autoscaler counts."""
    ready = [
        (e.at, float(e.value.get("ready") or 0))
        for e in timeline.events
        if e.kind in ("deployment.added", "deployment.changed") and e.subject == hpa
    ]
    return ready or [
        (e.at, float(e.value.get("current") or 0))
        for e in timeline.events
        if e.kind in ("hpa.added", "hpa.changed") and e.subject == hpa
    ]


def _at(counts: list[tuple[float, float]], time: float) -> float | None:
    return next((count for at, count in reversed(counts) if at <= time), None)


def _utilization(seen: list[Event]) -> tuple[float | None, float | None]:
    """The highest utilization that the autoscaler saw, and its target (both percent)."""
    peaks = [float(e.value["utilization"]) for e in seen if e.value.get("utilization") is not None]
    targets = [float(e.value["target"]) for e in seen if e.value.get("target") is not None]
    return max(peaks, default=None), (targets[-1] if targets else None)


def _formula(seen: list[Event]) -> float | None:
    """What ceil(current x utilization / target), within maxReplicas, asked for at most."""
    asked = [
        min(math.ceil(v["current"] * v["utilization"] / v["target"]), v.get("max") or math.inf)
        for v in (e.value for e in seen)
        if v.get("current") and v.get("utilization") is not None and v.get("target")
    ]
    return float(max(asked)) if asked else None


def _why_inactive(event: Event) -> str:
    """The reason in the autoscaler's ScalingActive condition."""
    condition = (event.value.get("conditions") or {}).get("ScalingActive") or {}
    return str(condition.get("reason") or condition.get("message") or "ScalingActive is False")


def _cores(timeline: Timeline, hpa: str, window: Window) -> float | None:
    """The CPU that the scaled pods used in *window*, in cores; None when too little was recorded to tell."""
    namespace, _, name = hpa.partition("/")
    for metric in CPU_METRICS:
        series = [
            part
            for one in timeline.find(metric)
            if one.labels.get("pod", "").startswith(f"{name}-")
            and one.labels.get("namespace", namespace) == namespace
            and one.labels.get("container") not in ("", "POD")
            for part in (one.within(window),)
        ]
        times = tuple(sorted({time for part in series for time in part.times}))
        if times and Series(metric, {}, times, times).longest_gap(window) <= CPU_BLIND:
            return sum(_increase(part.values) for part in series) / window.seconds
    return None


def _increase(values: tuple[float, ...]) -> float:
    """How much a counter grew; a restart counts from zero."""
    pairs = itertools.pairwise(values)
    return sum(after - before if after >= before else after for before, after in pairs)
