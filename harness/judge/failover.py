"""What a fault took away comes back soon enough: killed pods, and service while a zone is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from harness.judge.faults import moment, targets_of
from harness.judge.histories import History, changes, histories, is_ready
from harness.judge.record import recorded_until
from harness.judge.traffic import Traffic, good_rate_returns
from harness.judge.verifier import Saying
from harness.model.claims import PodsReplaced, ZoneSurvived
from harness.model.plan import Plan
from harness.model.timeline import Timeline, Window
from harness.model.verdict import Measure, Verdict

GOOD_AGAIN = 0.99  # share of good requests that counts as recovered …
GOOD_SECONDS = 10  # … over this many seconds in a row
LEAST_REQUESTS = 100


@dataclass(frozen=True, slots=True)
class KilledPodsReplaced(Saying):
    """Each owner of killed pods has as many ready as before, or as it wants by then, within the bound."""

    expected: PodsReplaced

    claim: ClassVar[str] = "pods_replaced"
    needs: ClassVar[tuple[str, ...]] = ("kubernetes",)
    rests_on: ClassVar[tuple[str, ...]] = ("machine",)

    @property
    def subject(self) -> str:
        """The experiment."""
        return self.expected.fault

    @property
    def faults(self) -> tuple[str, ...]:
        """The experiment."""
        return (self.expected.fault,)

    @classmethod
    def of(cls, plan: Plan) -> Iterator[Self]:
        """One for each such expectation."""
        return (cls(PodsReplaced(**e.parameters)) for e in plan.expectations if e.verifier == cls.claim)

    def verify(self, timeline: Timeline) -> Verdict:
        """Fail when an owner stays short; inconclusive when the harm or the owners are not in the record."""
        harm = timeline.first("fault.injected", self.expected.fault)
        if harm is None:
            return self.unproven(f"{self.expected.fault} was not injected, so nothing had to be replaced")
        targets = {name for event in timeline.of("fault.injected", self.expected.fault) for name in targets_of(event)}
        pods = histories(timeline, "pod")
        start = moment(harm)
        killed = [
            pod for pod in pods if pod.subject in targets and pod.born < harm.at and pod.gone(harm.at) is not None
        ]
        owners = sorted({owner for pod in killed if (owner := _owner(pod))})
        window = Window(start, max(start, min(start + self.expected.within, recorded_until(timeline))))
        if not owners:
            because = f"none of the {len(targets)} killed pods is in the record with an owner"
            return self.unproven(because, hint="a pod without a controller is never replaced", window=window)
        short: list[str] = []
        back = window.start
        for owner in owners:
            mine = [pod for pod in pods if _owner(pod) == owner]
            time, had, has = _replaced(timeline, mine, [pod for pod in killed if pod in mine], window)
            if time is None:
                short.append(f"{owner} has {has} ready of {had}")
            else:
                back = max(back, time)
        measures = (
            Measure("killed", len(killed), "pods"),
            Measure("replaced after", None if short else back - window.start, "s", self.expected.within),
        )
        if not short:
            because = f"{len(killed)} killed pods were replaced and ready after {back - window.start:.0f} s (bound {self.expected.within:.0f} s)"
            return self.passed(because, *measures, window=Window(window.start, back))
        if window.seconds < self.expected.within:
            return self.unproven(
                f"the record ends {window.seconds:.0f} s after the harm: {short[0]}", *measures, window=window
            )
        because = f"{self.expected.within:.0f} s after the harm {'; '.join(short)}"
        return self.failed(
            because, *measures, hint="see the new pods' events: Pending, image pull, readiness probe", window=window
        )


def _owner(pod: History) -> str:
    return next((str(state["owner"]) for state in reversed(pod.states) if state and state.get("owner")), "")


def _replaced(
    timeline: Timeline, pods: list[History], killed: list[History], window: Window
) -> tuple[float | None, int, int]:
    """
    When, all *killed* being gone, *pods* had as many ready as before *window* (None: never), how many that was, and
    how many are ready at the end.
    """
    had = _ready(pods, window.start - 0.001)
    gone = [pod.gone(window.start - 0.001) for pod in killed]
    ready = had
    scaled = _wanted(timeline, pods[0])
    times = {*changes(tuple(pods), window.start, window.end), *(time for time, _ in scaled if time in window)}
    for time in sorted(times):
        ready = _ready(pods, time)
        wanted = min([had, *[replicas for at, replicas in scaled if at <= time][-1:]])
        if ready >= wanted and all(left is not None and left <= time for left in gone):
            return time, had, ready
    return None, had, ready


def _ready(pods: list[History], time: float) -> int:
    return sum((state := pod.at(time)) is not None and is_ready(state) for pod in pods)


def _wanted(timeline: Timeline, pod: History) -> list[tuple[float, int]]:
    """How many replicas the deployment that owns *pod* wanted, and since when; empty when the record does not say."""
    namespace = pod.subject.partition("/")[0]
    deployment = _owner(pod).rpartition("/")[2].rpartition("-")[0]  # a ReplicaSet is <deployment>-<hash>
    return [
        (event.at, int(event.value.get("spec") or 0))
        for event in timeline.events
        if event.kind in ("deployment.added", "deployment.changed") and event.subject == f"{namespace}/{deployment}"
    ]


@dataclass(frozen=True, slots=True)
class ZoneOutageSurvived(Saying):
    """While the zone is cut off enough requests are good, they are soon good again, and afterwards its nodes come back."""

    expected: ZoneSurvived

    claim: ClassVar[str] = "zone_survived"
    needs: ClassVar[tuple[str, ...]] = ("kubernetes", "load")
    rests_on: ClassVar[tuple[str, ...]] = ("load", "machine")

    @property
    def subject(self) -> str:
        """The zone and the experiment."""
        return f"{self.expected.zone} ({self.expected.fault})"

    @property
    def faults(self) -> tuple[str, ...]:
        """The experiment."""
        return (self.expected.fault,)

    @classmethod
    def of(cls, plan: Plan) -> Iterator[Self]:
        """One for each such expectation."""
        return (cls(ZoneSurvived(**e.parameters)) for e in plan.expectations if e.verifier == cls.claim)

    def verify(self, timeline: Timeline) -> Verdict:
        """Fail on the first of availability, recovery, pods elsewhere, nodes back; inconclusive with too few requests."""
        outage = timeline.fault(self.expected.fault)
        if outage is None:
            return self.unproven(f"no outage by {self.expected.fault} was recorded from its harm to its undoing")
        traffic = Traffic.of(timeline)
        due = traffic.during(outage)
        total, good = int(due.sum()), int((due & traffic.good).sum())
        span = Window(
            outage.start, max(outage.end, min(outage.end + self.expected.recovers_within, recorded_until(timeline)))
        )
        if total < LEAST_REQUESTS:
            because = (
                f"only {total} requests while {self.expected.zone} was cut off; at least {LEAST_REQUESTS} are needed"
            )
            return self.unproven(because, Measure("requests", total), hint="ask for more users", window=span)
        until = Window(outage.start, min(outage.start + self.expected.recovers_within + GOOD_SECONDS, span.end))
        again = good_rate_returns(traffic, until, GOOD_AGAIN, GOOD_SECONDS)
        elsewhere = _ready_elsewhere(timeline, self.expected.zone, outage.end)
        nodes = self._nodes_back(timeline, outage)
        measures = (
            Measure("good during the outage", good / total, "of requests", self.expected.availability),
            Measure("requests", total),
            Measure("good again", None if again is None else again - outage.start, "s", self.expected.recovers_within),
            Measure("pods ready in other zones", elsewhere, bound=1),
            Measure("nodes ready again", nodes, "s after the undo", self.expected.recovers_within),
        )
        during = f"{good / total:.2%} of {total} requests were good while {self.expected.zone} was cut off"
        if good / total < self.expected.availability:
            hint = "see which requests failed and when: retries, timeouts, health checks, or too few replicas elsewhere"
            return self.failed(f"{during}, below {self.expected.availability:.2%}", *measures, hint=hint, window=span)
        if elsewhere == 0:
            because = f"{during}, but no pod was ready in another zone at its end"
            return self.failed(because, *measures, hint="spread the pods over the zones", window=span)
        if again is None or nodes is None:
            return self._not_recovered(during, measures, span, outage, served=again is not None)
        because = (
            f"{during}; good again {again - outage.start:.0f} s after the cut, its nodes ready {nodes:.0f} s after the "
            f"undo (bound {self.expected.recovers_within:.0f} s)"
        )
        return self.passed(because, *measures, window=span)

    def _not_recovered(
        self, during: str, measures: tuple[Measure, ...], span: Window, outage: Window, *, served: bool
    ) -> Verdict:
        """The verdict when requests, or (where those *served*) the zone's nodes, were not seen to be well again in time."""
        bound = self.expected.recovers_within
        if served:
            needed, what = outage.end + bound, f"{self.expected.zone}'s nodes were not ready again"
            late, hint = f"within {bound:.0f} s of the undo", "see the nodes' kubelets and their conditions"
        else:
            needed = outage.start + bound + GOOD_SECONDS
            what = f"requests were not good again ({GOOD_AGAIN:.0%} over {GOOD_SECONDS} s)"
            late = f"within {bound:.0f} s of the cut"
            hint = "health checks, timeouts and the node-monitor grace decide how long a dead zone is sent traffic"
        if span.end < needed:
            because = f"{during}; {what} when the record ended, {needed - span.end:.0f} s before the bound was over"
            return self.unproven(because, *measures, hint="lengthen the last stage", window=span)
        return self.failed(f"{during}, but {what} {late}", *measures, hint=hint, window=span)

    def _nodes_back(self, timeline: Timeline, outage: Window) -> float | None:
        """How long after the undo the zone's nodes that still exist were all ready; None when that was not seen in time."""
        end = min(outage.end + self.expected.recovers_within, recorded_until(timeline))
        nodes = tuple(
            node
            for node in histories(timeline, "node")
            if (state := node.at(outage.start)) is not None and state.get("zone") == self.expected.zone
        )
        for time in changes(nodes, outage.end, end):
            there = [state for node in nodes if (state := node.at(time)) is not None]
            if there and all(is_ready(state) for state in there):
                return time - outage.end
        return None


def _ready_elsewhere(timeline: Timeline, zone: str, time: float) -> int:
    """How many pods with an owner were ready in other zones than *zone* at *time*."""
    states = (pod.at(time) for pod in histories(timeline, "pod"))
    return sum(
        state is not None and is_ready(state) and bool(state.get("zone")) and state.get("zone") != zone
        for state in states
    )
