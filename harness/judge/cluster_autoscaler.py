"""The Cluster Autoscaler answers unschedulable pods with nodes, link by link: pod → group → node → pod."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from harness.judge.histories import History, histories, is_ready
from harness.judge.record import recorded_until
from harness.judge.verifier import Saying
from harness.model.claims import ClusterAutoscalerAddsNodes
from harness.model.plan import Plan
from harness.model.timeline import Timeline, Window
from harness.model.verdict import Measure, Verdict


@dataclass(frozen=True, slots=True)
class Chain:
    """When each link was seen, in seconds since the run's start; None for what was not."""

    waiting: float
    raised: float | None = None
    group: str = ""
    node: float | None = None
    node_name: str = ""
    pod: float | None = None
    pod_name: str = ""


@dataclass(frozen=True, slots=True)
class ClusterAutoscalerScaleUp(Saying):
    """The first pod that did not fit led to a raised group, a ready node, and a ready pod on that node, within the bound."""

    expected: ClusterAutoscalerAddsNodes

    claim: ClassVar[str] = "cluster_autoscaler_adds_nodes"
    needs: ClassVar[tuple[str, ...]] = ("kubernetes", "autoscaling", "load")
    rests_on: ClassVar[tuple[str, ...]] = ("load", "machine")
    less_load_excuses: ClassVar[bool] = True

    @property
    def subject(self) -> str:
        """The stage."""
        return self.expected.stage

    @classmethod
    def of(cls, plan: Plan) -> Iterator[Self]:
        """One for each such expectation."""
        return (cls(ClusterAutoscalerAddsNodes(**e.parameters)) for e in plan.expectations if e.verifier == cls.claim)

    def verify(self, timeline: Timeline) -> Verdict:
        """Fail at the first link that did not come; inconclusive when every pod fitted."""
        stage = timeline.stage(self.expected.stage)
        if stage is None:
            return self.unproven(
                f"stage {self.expected.stage!r} did not run to its end", hint="look at logs/load.log of the run"
            )
        pods = histories(timeline, "pod")
        waiting = min((t for pod in pods if (t := _unschedulable(pod, stage)) is not None), default=None)
        if waiting is None:
            because = (
                f"every pod of stage {self.expected.stage!r} fitted on the nodes there were: no node was called for"
            )
            return self.unproven(because, hint="ask for more users, or smaller nodes", window=stage)
        until = min(waiting + self.expected.within, recorded_until(timeline))
        window = Window(waiting, max(until, waiting))
        chain = _follow(timeline, pods, stage, window)
        measures = self._measures(chain)
        if chain.pod is not None:
            because = (
                f"{chain.pod - waiting:.0f} s from the first pod that did not fit to {chain.pod_name} ready on new node "
                f"{chain.node_name} ({chain.group} raised after {(chain.raised or waiting) - waiting:.0f} s, node ready after "
                f"{(chain.node or waiting) - waiting:.0f} s; bound {self.expected.within:.0f} s)"
            )
            return self.passed(because, *measures, window=Window(waiting, chain.pod))
        if window.seconds < self.expected.within:
            because = f"the record ends {window.seconds:.0f} s after the first pod that did not fit, before the {self.expected.within:.0f} s were over"
            return self.unproven(because, *measures, window=window)
        because, hint = self._broken(timeline, chain, window)
        return self.failed(because + _left_over(pods, window.end), *measures, hint=hint, window=window)

    def _measures(self, chain: Chain) -> tuple[Measure, ...]:
        def after(time: float | None) -> float | None:
            return None if time is None else time - chain.waiting

        return (
            Measure("group raised", after(chain.raised), "s"),
            Measure("node ready", after(chain.node), "s"),
            Measure("pod ready on it", after(chain.pod), "s", self.expected.within),
        )

    def _broken(self, timeline: Timeline, chain: Chain, window: Window) -> tuple[str, str]:
        """Which link did not come, and where to look."""
        within = f"within {self.expected.within:.0f} s of the first pod that did not fit"
        if chain.raised is None:
            full = _all_at_max(timeline, window)
            if full:
                return (
                    f"no group was raised {within}: all {full} groups are at their maximum",
                    "raise the groups' maximum size",
                )
            said = _said_not_triggered(timeline, window)
            return (
                f"no group was raised {within}" + said,
                "is the Cluster Autoscaler running? See its log and its lease",
            )
        if chain.node is None:
            took = chain.raised - chain.waiting
            return (
                f"{chain.group} was raised after {took:.0f} s, but no new node was ready {within}",
                "see the group's scaling activities, and why the instance did not join",
            )
        return (
            f"node {chain.node_name} was ready, but no pod that had not fitted was ready on it {within}",
            "see the pod's events: image pull, readiness probe, volumes",
        )


def _unschedulable(pod: History, window: Window) -> float | None:
    """When *pod* was first seen not to fit anywhere in *window*; None if never."""
    for time, state in zip(pod.times, pod.states, strict=True):
        if time in window and state is not None and state.get("unschedulable"):
            return time
    return None


def _left_over(pods: tuple[History, ...], time: float) -> str:
    """How many pods had still no node at *time*, the first one named; nothing when there are none."""
    left = sorted(pod.subject for pod in pods if (state := pod.at(time)) is not None and state.get("unschedulable"))
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    return f"; still without a node then: {left[0]}{more}" if left else ""


def _follow(timeline: Timeline, pods: tuple[History, ...], stage: Window, window: Window) -> Chain:
    raised = _raised(timeline, window)
    if raised is None:
        return Chain(window.start)
    fresh = [node for node in histories(timeline, "node") if node.born >= window.start]
    ready = {
        node.subject: time for node in fresh if (time := node.when(is_ready, node.born)) is not None and time in window
    }
    if not ready:
        return Chain(window.start, raised[0], raised[1])
    first = min(ready, key=lambda name: (ready[name], name))
    landed = [
        (time, pod.subject, str((pod.at(time) or {}).get("node")))
        for pod in pods
        if _unschedulable(pod, Window(stage.start, window.end)) is not None
        and (time := pod.when(lambda state: is_ready(state) and state.get("node") in ready, window.start)) is not None
        and time in window
    ]
    if not landed:
        return Chain(window.start, *raised, ready[first], first)
    time, name, node = min(landed)
    return Chain(window.start, *raised, ready[node], node, time, name)


def _raised(timeline: Timeline, window: Window) -> tuple[float, str] | None:
    """When, and which, group's desired capacity first rose in *window*."""
    desired: dict[str, float] = {}
    for event in timeline.of("group.changed"):
        now = event.value.get("desired")
        if now is None:
            continue
        before = desired.get(event.subject)
        if before is not None and now > before and event.at in window:
            return event.at, event.subject
        desired[event.subject] = now
    return None


def _all_at_max(timeline: Timeline, window: Window) -> int:
    """How many groups there are when every one is at its maximum; else 0."""
    latest = {event.subject: event.value for event in timeline.of("group.changed") if event.at <= window.end}
    full = [value.get("desired") is not None and value.get("desired") == value.get("max") for value in latest.values()]
    return len(full) if full and all(full) else 0


def _said_not_triggered(timeline: Timeline, window: Window) -> str:
    """What the Cluster Autoscaler itself said of it, if anything."""
    said = [
        str(event.value.get("message", ""))
        for event in timeline.of("kubernetes.event", window=window)
        if event.value.get("reason") == "NotTriggerScaleUp"
    ]
    return f": {said[-1]}" if said else "; it said nothing about the pod either"
