"""One small game-day in which all goes well, made by hand; tests take something away from it or change it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.judge.judge import judge
from harness.model.plan import Expectation, Experiment, Load, Objective, Plan, Stage
from harness.model.timeline import Event, Requests, Series, Timeline
from harness.model.verdict import Verdict

STAGES = (Stage("baseline", 45, 10), Stage("spike", 120, 60), Stage("faults", 130, 30), Stage("recovery", 40, 30))
PLAN = Plan(
    name="first",
    title="All goes well",
    seed=1,
    load=Load("loadprofiles/spike.py", STAGES),
    experiments=(
        Experiment("kill-pods", "experiments/kill-pods.yaml", "faults", 5),
        Experiment("az-outage", "experiments/az-outage.yaml", "faults", 45),
    ),
    objectives=(
        Objective("available while calm", "availability", 0.999, ("baseline", "spike")),
        Objective("fast while calm", "latency", 0.95, ("baseline",), threshold=0.5),
        Objective("available under faults", "availability", 0.97, ("faults",)),
    ),
    expectations=(
        Expectation("hpa_scales_out", {"hpa": "shop/front", "stage": "spike", "replicas": 5, "within": 90.0}),
        Expectation("cluster_autoscaler_adds_nodes", {"stage": "spike", "within": 90.0}),
        Expectation("pods_replaced", {"fault": "kill-pods", "within": 60.0}),
        Expectation(
            "zone_survived",
            {"fault": "az-outage", "zone": "us-east-1c", "availability": 0.9, "recovers_within": 60.0},
        ),
    ),
)
A, B, C = "us-east-1a", "us-east-1b", "us-east-1c"
NODES = {"node-a": A, "node-b": B, "node-c": C, "node-a2": A}


def _pod(at: float, change: str, number: int, node: str, **more: Any) -> Event:
    value = {
        "uid": f"u{number}",
        "node": node,
        "zone": NODES.get(node, ""),
        "ready": False,
        "scheduled": bool(node),
        "unschedulable": "",
        "owner": "ReplicaSet/front-abc",
        "app": "front",
        "deleting": False,
    }
    return Event(at, "kubernetes", f"pod.{change}", f"shop/front-abc-{number}", value | more)


def _node(at: float, change: str, name: str, *, ready: bool) -> Event:
    return Event(
        at, "kubernetes", f"node.{change}", name, {"zone": NODES[name], "ready": ready, "instance": f"i-{name}"}
    )


def _hpa(at: float, current: int, desired: int, utilization: float) -> Event:
    value = {"min": 3, "max": 8, "current": current, "desired": desired, "target": 70.0, "utilization": utilization}
    change = "added" if at < 5 else "changed"
    conditions = {"ScalingActive": {"status": "True", "reason": "ValidMetricFound", "message": ""}}
    value |= {"scaling_active": True, "scaling_limited": False, "conditions": conditions}
    return Event(at, "kubernetes", f"hpa.{change}", "shop/front", value)


def _deployment(at: float, spec: int, ready: int) -> Event:
    change = "added" if at < 5 else "changed"
    return Event(at, "kubernetes", f"deployment.{change}", "shop/front", {"spec": spec, "ready": ready})


def _group(at: float, name: str, desired: int) -> Event:
    return Event(at, "autoscaling", "group.changed", name, {"desired": desired, "min": 1, "max": 3, "instances": []})


def _cluster() -> list[Event]:
    said = [_node(2, "added", name, ready=True) for name in ("node-a", "node-b", "node-c")]
    said += [_pod(2, "added", n, f"node-{z}", ready=True) for n, z in ((1, "a"), (2, "b"), (3, "c"))]
    said += [_hpa(2, 3, 3, 40.0), _deployment(2, 3, 3)]
    said += [_group(2, f"workers-{zone}", 1) for zone in (A, B, C)]
    # The spike: three more pods, two of which do not fit until a node has come.
    said += [_hpa(75, 3, 6, 140.0), _deployment(75, 6, 3), _pod(75, "added", 4, "node-b")]
    said += [_pod(75, "added", n, "", unschedulable="0/3 nodes are available: 3 Insufficient cpu.") for n in (5, 6)]
    said += [_pod(85, "changed", 4, "node-b", ready=True), _deployment(85, 6, 4), _group(82, f"workers-{A}", 2)]
    said += [_node(90, "added", "node-a2", ready=False), _node(95, "changed", "node-a2", ready=True)]
    said += [_pod(105, "changed", n, "node-a2", ready=True) for n in (5, 6)] + [
        _deployment(105, 6, 6),
        _hpa(105, 6, 6, 65.0),
    ]
    # Two pods are killed, and replaced.
    said += [_pod(180.5, "deleted", 1, "node-a"), _pod(180.5, "deleted", 2, "node-b"), _deployment(180.6, 6, 4)]
    said += [_pod(180.6, "added", 7, "node-a"), _pod(180.6, "added", 8, "node-b")]
    said += [_pod(190, "changed", 7, "node-a", ready=True), _pod(190, "changed", 8, "node-b", ready=True)]
    # The zone goes, and comes back.
    said += [_node(260, "changed", "node-c", ready=False), _pod(262, "changed", 3, "node-c")]
    said += [_node(285, "changed", "node-c", ready=True), _pod(290, "changed", 3, "node-c", ready=True)]
    return said


def _run() -> list[Event]:
    said = [Event(0, "runner", "run.started", "r")]
    sources = ("kubernetes", "prometheus", "autoscaling", "machine")
    said += [Event(1, source, "observe.started", source) for source in sources]
    said += [Event(9, "load", "load.started", "spike.py")]
    at = 10.0
    for stage in STAGES:
        said.append(Event(at, "load", "load.stage", stage.name, {"users": stage.users, "seconds": stage.seconds}))
        at += stage.seconds
    said.append(Event(at, "load", "load.ended", "spike.py", {"code": 0}))
    killed = {"action": "kill_pods", "targets": ["shop/front-abc-1", "shop/front-abc-2"], "details": {}}
    cut = {"action": "disconnect_zone", "targets": ["subnet-c"], "details": {"zone": C}}
    said += [
        Event(178, "runner", "experiment.started", "kill-pods"),
        Event(218, "runner", "experiment.started", "az-outage"),
    ]
    said += [Event(181, "chaos", "fault.injected", "kill-pods", killed, stamp=180.0)]
    said += [Event(200, "runner", "fault.ended", "kill-pods"), Event(281, "runner", "fault.ended", "az-outage")]
    said += [Event(220, "chaos", "fault.injected", "az-outage", cut, stamp=219.5)]
    said += [Event(280, "chaos", "fault.undone", "az-outage", {"undo": "restore_network_acls", "id": "1"})]
    said += [Event(399, "runner", "restored.compared", "r", {"equal": True, "differences": []})]
    said += [Event(400, "runner", "run.ended", "r")]
    said += [Event(401, source, "observe.stopped", source) for source in sources]
    return said


def _requests() -> Requests:
    """Twenty a second, answered by the zones in turn; while c is cut off, its share fails for five seconds."""
    start = np.arange(10, 345, 0.05) + 0.01
    pods = np.array(["front-abc-1", "front-abc-2", "front-abc-3"], dtype=object)
    zones = np.array([A, B, C], dtype=object)
    turn = np.arange(len(start)) % 3
    cut = (start >= 219.5) & (start < 280)
    failed = cut & (turn == 2) & (start < 225)
    turn = np.where(cut & ~failed & (turn == 2), 0, turn)
    return Requests(
        intended=start - 0.001,
        start=start,
        latency=np.where(failed, 2.0, 0.02),
        name=np.full(len(start), "browse", dtype=object),
        status=np.where(failed, 0, 200),
        error=np.where(failed, "timed out", "").astype(object),
        zone=np.where(failed, "", zones[turn]).astype(object),
        pod=np.where(failed, "", pods[turn]).astype(object),
        request_id=np.array([str(n) for n in range(len(start))], dtype=object),
    )


def _series() -> tuple[Series, ...]:
    load = tuple(float(t) for t in range(9, 346))
    whole = tuple(float(t) for t in range(1, 401))
    scrapes = tuple(float(t) for t in range(1, 401, 5))
    journeys = tuple(max(0.0, t - 10) * 4 for t in load)
    cpu = [
        Series(
            "container_cpu_usage_seconds_total",
            {"namespace": "shop", "pod": f"front-abc-{n}", "container": "front"},
            scrapes,
            tuple(t * 0.1 for t in scrapes),
        )
        for n in (1, 2, 3)
    ]
    return (
        Series("load.offered", {}, load, journeys),
        Series("load.started", {}, load, journeys),
        Series("load.users", {}, load, tuple(30.0 for _ in load)),
        Series("load.lag", {}, load, tuple(0.004 for _ in load)),
        Series("load.late", {}, load, tuple(0.002 for _ in load)),
        Series("load.cpu", {}, load, tuple(0.3 for _ in load)),
        Series("machine.cpu_busy", {}, whole, tuple(0.6 for _ in whole)),
        Series("machine.cpu_pressure", {}, whole, tuple(0.2 for _ in whole)),
        *cpu,
    )


def _journal(*names: str) -> dict[str, Any]:
    run = [{"activity": {"type": "action", "name": name}, "status": "succeeded"} for name in names]
    return {"status": "completed", "run": run, "rollbacks": []}


def _source_of(series: Series) -> str:
    own = series.metric.partition(".")[0]
    return own if own in ("load", "machine") else "prometheus"


@dataclass(frozen=True)
class Story:
    """A timeline, and ways to make another one of it."""

    timeline: Timeline

    def without_source(self, source: str) -> Story:
        """As if *source* had never been recorded."""
        events = tuple(
            e
            for e in self.timeline.events
            if e.source != source and not (e.kind.startswith("observe.") and e.subject == source)
        )
        series = tuple(s for s in self.timeline.series if _source_of(s) != source)
        requests = Requests() if source == "load" else self.timeline.requests
        return Story(replace(self.timeline, events=events, series=series, requests=requests))

    def without(self, gone: Callable[[Event], bool]) -> Story:
        """Without some events."""
        return Story(replace(self.timeline, events=tuple(e for e in self.timeline.events if not gone(e))))

    def plus(self, *events: Event) -> Story:
        """With some more events."""
        both = sorted((*self.timeline.events, *events), key=lambda event: event.at)
        return Story(replace(self.timeline, events=tuple(both)))

    def changed(self, kind: str, **value: Any) -> Story:
        """With other values in all events of *kind* (a prefix)."""
        events = tuple(
            replace(e, value={**e.value, **value}) if e.kind.startswith(kind) else e for e in self.timeline.events
        )
        return Story(replace(self.timeline, events=events))

    def series(self, metric: str, value: Callable[[float, float], float]) -> Story:
        """With other values (of time and value) in *metric*; NaN takes the sample away."""

        def other(series: Series) -> Series:
            pairs = [(t, value(t, v)) for t, v in zip(series.times, series.values, strict=True)]
            kept = [(t, v) for t, v in pairs if not math.isnan(v)]
            return replace(series, times=tuple(t for t, _ in kept), values=tuple(v for _, v in kept))

        made = tuple(other(s) if s.metric == metric else s for s in self.timeline.series)
        return Story(replace(self.timeline, series=made))

    def requests(self, **columns: Callable[[Requests], Any]) -> Story:
        """With other columns in the requests."""
        made = {name: column(self.timeline.requests) for name, column in columns.items()}
        return Story(replace(self.timeline, requests=replace(self.timeline.requests, **made)))

    def undo(self, *entries: dict[str, Any]) -> Story:
        """With another undo journal."""
        return Story(replace(self.timeline, undo=entries))

    def journals(self, journals: dict[str, Any]) -> Story:
        """With other journals of Chaos Toolkit."""
        return Story(replace(self.timeline, journals=journals))

    def planned(self, **fields: Any) -> Story:
        """With other fields in the plan."""
        return Story(replace(self.timeline, plan=replace(self.timeline.plan, **fields)))

    def verdicts(self) -> dict[str, Verdict]:
        """What the judge says, by claim and subject."""
        return {verdict.title: verdict for verdict in judge(self.timeline)}

    def verdict(self, claim: str) -> Verdict:
        """The one verdict whose title begins with *claim*."""
        (found,) = (verdict for title, verdict in self.verdicts().items() if title.startswith(claim))
        return found


def all_well() -> Story:
    """All goes well."""
    events = tuple(sorted((*_run(), *_cluster()), key=lambda event: event.at))
    armed = {"id": "1", "experiment": "az-outage", "undo": "restore_network_acls", "state": "armed"}
    journals = {"kill-pods": _journal("kill pods"), "az-outage": _journal("disconnect", "hold", "reconnect")}
    timeline = Timeline(
        PLAN, {"started": 0}, events, _series(), _requests(), (armed, armed | {"state": "done"}), journals
    )
    return Story(timeline)
