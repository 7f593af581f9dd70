"""Small timelines made by hand, for tests."""

from __future__ import annotations

import dataclasses

from harness.model.plan import Experiment, Load, Objective, Plan, Stage
from harness.model.timeline import Event, Requests, Series, Timeline


def small_plan() -> Plan:
    """A minute of load with one fault in its second half."""
    return Plan(
        name="small",
        title="Does the <shop> hold?",
        seed=1,
        load=Load("loadprofiles/spike.py", (Stage("calm", 30, 5), Stage("faults", 30, 5))),
        experiments=(Experiment("kill-pods", "experiments/kill-pods.yaml", "faults", 5),),
        objectives=(Objective("available", "availability", 0.99, ("calm", "faults")),),
        expectations=(),
    )


def small_timeline() -> Timeline:
    """Ten requests a second; pod `front-a` dies at 35 s and five requests fail."""
    starts = [2 + i / 10 for i in range(600)]
    errors = ["ConnectionRefusedError" if 35 <= at < 35.5 else "" for at in starts]
    requests = Requests(
        intended=starts,
        start=starts,
        latency=[0.02 + (i % 10) / 1000 for i in range(600)],
        name=["browse"] * 600,
        status=[0 if error else 200 for error in errors],
        error=errors,
        zone=["" if error else "us-east-1a" for error in errors],
        pod=["" if error else "front-a" for error in errors],
        request_id=[f"r{i}" for i in range(600)],
    )
    events = [
        Event(0, "runner", "run.started", "r"),
        Event(0.5, "kubernetes", "deployment.added", "shop/front", {"spec": 2, "ready": 2}),
        Event(0.6, "kubernetes", "node.added", "node-a", {"zone": "us-east-1a", "ready": True}),
        Event(2, "load", "load.stage", "calm", {"users": 5}),
        Event(32, "load", "load.stage", "faults", {"users": 5}),
        Event(35, "chaos", "fault.injected", "kill-pods", {"action": "kill_pods", "targets": ["front-a"]}),
        Event(35.2, "kubernetes", "deployment.changed", "shop/front", {"spec": 2, "ready": 1}),
        Event(41, "kubernetes", "deployment.changed", "shop/front", {"spec": 2, "ready": 2}),
        Event(42, "runner", "fault.ended", "kill-pods"),
        Event(62, "load", "load.ended", "spike", {"code": 0}),
        Event(63, "runner", "run.ended", "r"),
    ]
    seconds = tuple(float(i) for i in range(63))
    return Timeline(
        plan=small_plan(),
        environment={
            "run": "20260101T000000Z-small",
            "started": 1767225600.0,
            "target": {"name": "lab"},
            "capabilities": [{"source": "kubernetes", "ok": True, "found": "Kubernetes v1.36.3"}],
            "versions": {"gameday": "0.1.0"},
        },
        events=tuple(events),
        series=(
            Series("load.users", {}, seconds, tuple(5.0 for _ in seconds)),
            Series("machine.cpu_busy", {}, seconds, tuple(0.4 for _ in seconds)),
        ),
        requests=requests,
    )


def changed(timeline: Timeline, **changes: object) -> Timeline:
    """*timeline* with some fields replaced."""
    return dataclasses.replace(timeline, **changes)  # type: ignore[arg-type]
