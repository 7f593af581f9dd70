"""Each planned fault really happened, and hit something that was serving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from harness.judge.histories import histories
from harness.judge.traffic import Traffic
from harness.judge.verifier import Saying
from harness.model.plan import Plan
from harness.model.timeline import Event, Timeline, Window
from harness.model.verdict import Measure, Verdict

BEFORE = 30.0  # seconds before the harm in which a target must have been seen serving
SETTLING = 10.0  # seconds that answers already on their way may still take after a zone is cut
RECONNECTING = 5.0  # seconds that taking the cut back may have worked before it was recorded as done
GONE_WITHIN = 60.0  # seconds: a pod's grace period and the watch's delay


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a fault was seen to hit live traffic, and the sentence that says how."""

    holds: bool
    said: str


@dataclass(frozen=True, slots=True)
class FaultsInjected(Saying):
    """*fault* was injected, on at least one target that was serving; never fails, for a missing fault is no fault of the stack."""

    fault: str

    claim: ClassVar[str] = "faults_injected"
    needs: ClassVar[tuple[str, ...]] = ("kubernetes", "load")

    @property
    def subject(self) -> str:
        """The experiment."""
        return self.fault

    @classmethod
    def of(cls, plan: Plan) -> Iterator[Self]:
        """One for each planned experiment."""
        return (cls(experiment.name) for experiment in plan.experiments)

    def verify(self, timeline: Timeline) -> Verdict:
        """Pass when every injection is proved and the experiment's process did all that it should; else inconclusive."""
        injected = list(timeline.of("fault.injected", self.fault))
        if not injected:
            began = timeline.first("experiment.started", self.fault)
            because = "its experiment never started" if began is None else "its experiment ran, and recorded no harm"
            return self.unproven(f"{self.fault} was not injected: {because}", hint=f"look at logs/ for {self.fault}")
        targets = [name for event in injected for name in targets_of(event)]
        ended = timeline.fault(self.fault)
        window = ended or Window(injected[0].at, injected[-1].at + GONE_WITHIN)
        measures = (Measure("targets", len(targets), bound=1),)
        if not targets:
            return self.unproven(f"{self.fault} harmed nothing: it names no target", *measures, window=window)
        wrong = _unsuccessful(timeline, self.fault)
        if ended is None:
            wrong.append("its end was not recorded")
        proofs = [_proof(timeline, event, window) for event in injected]
        wrong += [proof.said for proof in proofs if not proof.holds]
        said = [proof.said for proof in proofs]
        if wrong:
            hint = "the experiment's selector may miss what serves the traffic; see journal.json and logs/"
            return self.unproven(f"{self.fault}: {wrong[0]}", *measures, hint=hint, window=window, evidence=wrong)
        return self.passed(f"{self.fault}: {'; '.join(said)}", *measures, window=window)


def targets_of(event: Event) -> tuple[str, ...]:
    """What a `fault.injected` event says was harmed."""
    return tuple(str(name) for name in event.value.get("targets") or ())


def moment(event: Event) -> float:
    """When the harm of a `fault.injected` event began: it is recorded only once it was seen to be done."""
    return event.at if event.stamp is None else min(event.at, event.stamp)


def zones_of(timeline: Timeline, event: Event) -> tuple[str, ...]:
    """The zones that a `fault.injected` event harmed whole: named in its details or arguments, or among its targets."""
    details = event.value.get("details")
    named = details if isinstance(details, Mapping) else {}
    zones = named.get("zones") or ([named["zone"]] if named.get("zone") else [])
    if zones:
        return tuple(str(zone) for zone in zones)
    known = {str(e.value.get("zone")) for e in timeline.events if e.kind in ("node.added", "node.changed")}
    return tuple(name for name in targets_of(event) if name in known)


def _proof(timeline: Timeline, event: Event, window: Window) -> Proof:
    pods = {history.subject for history in histories(timeline, "pod")}
    if any(target in pods for target in targets_of(event)):
        return _pods_killed(timeline, event)
    zones = zones_of(timeline, event)
    if zones:
        return _zone_silent(timeline, Window(event.at, window.end), zones[0])
    return Proof(
        False, f"its targets ({', '.join(targets_of(event))}) are neither pods nor zones that the record knows"
    )


def _pods_killed(timeline: Timeline, event: Event) -> Proof:
    targets = targets_of(event)
    served = [name for name in targets if _was_serving(timeline, name, moment(event))]
    left = [name for name in targets if not _is_gone(timeline, name, event)]
    if left:
        return Proof(False, f"{len(left)} of {len(targets)} pods were still there after {GONE_WITHIN:.0f} s: {left[0]}")
    if not served:
        return Proof(False, f"none of the {len(targets)} killed pods was serving in the {BEFORE:.0f} s before")
    return Proof(
        True, f"{len(targets)} pods are gone, {len(served)} of which were serving in the {BEFORE:.0f} s before"
    )


def _was_serving(timeline: Timeline, target: str, at: float) -> bool:
    """Whether the pod *target* (namespace/name) answered requests shortly before *at*, or was a ready endpoint then."""
    name = target.rpartition("/")[2]
    traffic = Traffic.of(timeline)
    before = (traffic.start >= at - BEFORE) & (traffic.start < at)
    if bool((before & traffic.answered & (traffic.pod == name)).any()):
        return True
    latest: dict[str, Event] = {}
    for event in timeline.events:
        if event.at <= at and event.kind in ("endpoints.added", "endpoints.changed"):
            latest[event.subject] = event
    return any({name, target} & set(event.value.get("ready") or ()) for event in latest.values())


def _is_gone(timeline: Timeline, target: str, injected: Event) -> bool:
    """Whether the life of pod *target* that was there before the harm ended soon after it."""
    lives = [life for life in histories(timeline, "pod") if life.subject == target and life.born < moment(injected)]
    if not lives:
        return False
    left = lives[-1].gone(max(lives[-1].born, moment(injected) - 1.0))
    return left is not None and left <= injected.at + GONE_WITHIN


def _zone_silent(timeline: Timeline, window: Window, zone: str) -> Proof:
    traffic = Traffic.of(timeline)
    from_zone = traffic.answered & (traffic.zone == zone)
    before = int((from_zone & (traffic.start >= window.start - BEFORE) & (traffic.start < window.start)).sum())
    answered_at = traffic.due + traffic.took
    cut = (traffic.start >= window.start + SETTLING) & (answered_at < window.end - RECONNECTING)
    during, others = int((from_zone & cut).sum()), int((cut & ~from_zone).sum())
    if before == 0:
        return Proof(False, f"{zone} answered no request in the {BEFORE:.0f} s before it was cut off")
    if during:
        return Proof(False, f"{zone} was not cut off: it answered {during} requests more than {SETTLING:.0f} s later")
    if others == 0:
        return Proof(False, f"no request was sent while {zone} was cut off (later than {SETTLING:.0f} s into it)")
    said = f"{zone} answered {before} requests in the {BEFORE:.0f} s before, and none of {others} sent from {SETTLING:.0f} s on while it was cut off"
    return Proof(True, said)


def _unsuccessful(timeline: Timeline, fault: str) -> list[str]:
    """What went wrong in the experiment's process. Chaos Toolkit's `status` is no verdict: each action is looked at."""
    journal: Any = timeline.journals.get(fault)
    if not isinstance(journal, Mapping):
        return ["its experiment left no journal"]
    activities = [*(journal.get("run") or ()), *(journal.get("rollbacks") or ())]
    wrong = []
    for item in activities:
        activity = item.get("activity") or {}
        if activity.get("type") == "action" and item.get("status") != "succeeded":
            trace = item.get("exception") or []
            last = str(trace[-1] if isinstance(trace, list) and trace else trace or "no reason given").strip()
            how = item.get("status") or "did not come to its end"  # Chaos Toolkit gives none to what it was stopped in
            wrong.append(f"action {activity.get('name')!r} {how}: {last}")
    if not any((item.get("activity") or {}).get("type") == "action" for item in activities):
        wrong.append("its journal holds no action")
    return wrong
