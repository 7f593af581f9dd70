"""
One run: collectors, load, faults, undo, in that order and each recorded. No judging here.

The order is what makes the record trustworthy: whoever watches starts before whoever acts, the watchdog stands
before the first fault, and the state is compared only after everything was undone.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from harness.chaos.chaos_process import ChaosProcess
from harness.chaos.lease import Lease, register_process
from harness.chaos.undo import UndoJournal
from harness.load.locust_process import LoadProcess
from harness.model.errors import HarnessError, TargetError
from harness.model.plan import Experiment, Plan
from harness.observe.collectors import for_target
from harness.observe.pod_logs import fetch_pod_logs
from harness.planfile import dump_plan
from harness.rundir import RunDir, read_lines
from harness.target.capabilities import Capability
from harness.target.state import State, differences, read_state, unsettled
from harness.target.target import Target

RESTORED_WITHIN = 120.0  # nodes need their kubelets' next heartbeat and pods their back-off after a zone is back
LOAD_STARTS_WITHIN = 60.0
LOAD_ENDS_WITHIN = 30.0  # three times what users get to finish their journeys
TICK = 0.2

Say = Callable[[str], None]


class Interrupted(Exception):
    """A person or the system asked the run to stop; everything is undone before it surfaces."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the steps of one run share."""

    plan: Plan
    target: Target
    folder: RunDir
    say: Say
    chaos: dict[str, ChaosProcess] = field(default_factory=dict)
    watchdogs: list[subprocess.Popen[bytes]] = field(default_factory=list)


def run(plan: Plan, target: Target, folder: RunDir, capabilities: Sequence[Capability], say: Say) -> None:
    """
    Carry out *plan* on *target* and record it in *folder*, which must not exist yet.

    Raises TargetError when the stack is not whole before the start (nothing was harmed then), Interrupted when it was
    stopped from outside. Whatever happens, faults are undone and the state is compared before this returns.
    """
    _settle(plan, target, say)
    before = whole_state(target)
    folder.make()
    this = Run(plan, target, folder, say)
    folder.write_json(folder.plan, dump_plan(plan))
    folder.write_json(folder.environment, _environment(this, capabilities, before))
    began = time.time()
    folder.append_event("runner", "run.started", folder.path.name)
    with _signals_interrupt(), ExitStack() as stack:
        stack.callback(_close, this)
        for collector in for_target(target):
            collector.start(folder)
            stack.callback(collector.stop)
        try:
            _under_watch(this, before)
            say("fetching the pods' logs")
            fetch_pod_logs(target, folder, began)
        except BaseException as error:
            _interrupted(this, error)
            raise
        folder.append_event("runner", "run.ended", folder.path.name)


def _settle(plan: Plan, target: Target, say: Say) -> None:
    """Wait until the stack is as the plan wants to find it; TargetError when it does not come to rest in time."""
    deadline = time.monotonic() + plan.settle.within
    while waits := unsettled(target, plan.settle):
        if time.monotonic() > deadline:
            raise TargetError(
                f"target {target.name!r} did not settle within {plan.settle.within:.0f} s: {'; '.join(waits)}",
                hint="wait for it, look at `kubectl get hpa,nodes -A`, or raise settle.within in the plan",
            )
        say(f"waiting for the stack to settle: {waits[0]}")
        time.sleep(2)


def whole_state(target: Target) -> State:
    """The state before the run; TargetError when a fault of an earlier run, or any other, is still in it."""
    state = read_state(target)
    wrong = {key: value for key, value in state.items() if key != "network_acls" and value}
    if wrong:
        said = "; ".join(f"{key.replace('_', ' ')}: {', '.join(value)}" for key, value in wrong.items())
        raise TargetError(
            f"target {target.name!r} is not whole before the run: {said}",
            hint="wait for it to settle, or finish an earlier run's undo with `gameday undo RUN`",
        )
    return state


def _under_watch(this: Run, before: State) -> None:
    """Load and faults, with the watchdog standing by; then undo and compare."""
    # Whoever lost the lease must stop acting at once; the signal does that wherever the run stands.
    lease = Lease(this.folder, on_lost=lambda: os.kill(os.getpid(), signal.SIGTERM))
    lease.start()
    _start_watchdog(this)
    try:
        _load_and_faults(this)
    finally:
        with _deaf_to_signals():
            _heal(this, before)
            lease.release()


def _start_watchdog(this: Run) -> None:
    argv = [sys.executable, "-m", "harness.chaos.watchdog", str(this.folder.path)]
    argv += ["--target", str(this.target.file), "--runner-pid", str(os.getpid())]
    with (this.folder.logs / "watchdog.log").open("ab") as log:
        watchdog = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    _await(
        lambda: any(e["kind"] == "watchdog.standing" for e in read_lines(this.folder.events)),
        20,
        f"the watchdog (pid {watchdog.pid}) to stand by",
        failed=lambda: watchdog.poll() is not None,
    )
    this.watchdogs.append(watchdog)


def _load_and_faults(this: Run) -> None:
    load = LoadProcess(this.plan, this.target, this.folder)
    this.folder.append_event("runner", "load.starting", this.plan.load.profile)
    this.say("starting the load")
    load.start()
    assert load.pid is not None  # noqa: S101 - it was started
    # Its grace: a load that is killed at once loses the requests that it has not written yet.
    register_process(this.folder, "load", load.pid, grace=3)
    try:
        began = _first_stage(this, load)
        _drive(this, load, began)
    except BaseException as error:
        _interrupted(this, error)  # here, for up to here the record tells of the plan; what follows is the healing
        raise
    finally:
        with _deaf_to_signals():  # a second Ctrl-C must not keep the first from ending what was started
            for process in this.chaos.values():
                process.stop()
            load.stop()
            this.folder.append_event("runner", "load.ended", this.plan.load.profile, {"code": load.poll()})
            for name, process in this.chaos.items():
                _experiment_ended(this, name, process)


def _first_stage(this: Run, load: LoadProcess) -> float:
    """When the load's first stage began (Unix seconds)."""

    def began() -> float | None:
        return next((e["at"] for e in read_lines(this.folder.events) if e["kind"] == "load.stage"), None)

    _await(lambda: began() is not None, LOAD_STARTS_WITHIN, "the load to begin", failed=lambda: load.poll() is not None)
    at = began()
    assert at is not None  # noqa: S101 - awaited above
    return at


def _drive(this: Run, load: LoadProcess, began: float) -> None:
    """Start each experiment when it is due, and wait until load and experiments have ended."""
    due = sorted(this.plan.experiments, key=this.plan.experiment_start)
    ends = began + this.plan.load.seconds
    stages = this.plan.stage_starts()
    said = ""
    while True:
        elapsed = time.time() - began
        stage = next((name for name, at in reversed(stages.items()) if elapsed >= at), "")
        if stage != said and elapsed < this.plan.load.seconds:
            this.say(f"load stage {stage}")
            said = stage
        while due and elapsed >= this.plan.experiment_start(due[0]):
            _start_experiment(this, due.pop(0))
        for name in [n for n, p in this.chaos.items() if p.poll() is not None]:
            _experiment_ended(this, name, this.chaos[name])
        if load.poll() is not None:
            return
        if time.time() > ends + LOAD_ENDS_WITHIN:  # the generator's trouble, which the judge weighs; the run goes on
            value = {"seconds": LOAD_ENDS_WITHIN}
            this.folder.append_event("runner", "load.overdue", this.plan.load.profile, value)
            return
        time.sleep(TICK)


def _start_experiment(this: Run, experiment: Experiment) -> None:
    if any(watchdog.poll() is not None for watchdog in this.watchdogs):
        raise HarnessError(
            f"the watchdog is gone, so experiment {experiment.name} is not started",
            hint=f"look at {this.folder.logs / 'watchdog.log'}",
        )
    this.say(f"experiment {experiment.name}")
    process = ChaosProcess(experiment, this.plan, this.target.file, this.folder)
    this.folder.append_event("runner", "experiment.started", experiment.name, {"file": experiment.file})
    process.start()
    this.chaos[experiment.name] = process


def _experiment_ended(this: Run, name: str, process: ChaosProcess) -> None:
    """Say once that the experiment's process ended, and how."""
    if any(e["kind"] == "experiment.ended" and e["subject"] == name for e in read_lines(this.folder.events)):
        return
    result = process.result()
    this.folder.append_event(
        "runner", "experiment.ended", name, {"code": process.poll(), "status": result.status, "failed": result.failed}
    )
    this.folder.append_event("runner", "fault.ended", name)
    journals = {n: p.result().journal for n, p in this.chaos.items() if p.poll() is not None}
    this.folder.write_json(this.folder.journal, journals)


def _heal(this: Run, before: State) -> None:
    """Undo what is still armed, then wait until the state is what it was, and say whether it is."""
    this.say("undoing what is still armed, and comparing the state with the one before")
    for result in UndoJournal(this.folder).replay(this.target):
        this.say(f"undone: {result}")
    deadline = time.monotonic() + RESTORED_WITHIN
    while True:
        try:
            left = differences(before, read_state(this.target))
        except Exception as error:  # noqa: BLE001 - unreadable state is a finding, not a crash
            left = [f"the state cannot be read: {type(error).__name__}: {error}"]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(1)
    value: dict[str, Any] = {"equal": not left, "differences": left}
    this.folder.append_event("runner", "restored.compared", this.folder.path.name, value)


def _close(this: Run) -> None:
    this.folder.append_event("runner", "run.closed", this.folder.path.name)


def _environment(this: Run, capabilities: Sequence[Capability], before: State) -> dict[str, Any]:
    packages = ("locust", "chaostoolkit", "chaostoolkit-lib", "kubernetes", "boto3", "pandas", "gameday")
    return {
        "run": this.folder.path.name,
        "started": round(time.time(), 6),
        "target": this.target.summary(),
        "capabilities": [{"source": c.source, "ok": c.ok, "found": c.found} for c in capabilities],
        "state_before": before,
        "versions": {name: version(name) for name in packages} | {"python": platform.python_version()},
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "pid": os.getpid()},
    }


def _interrupted(this: Run, error: BaseException) -> None:
    """Say once why the run stops, when it does."""
    if not any(event["kind"] == "run.interrupted" for event in read_lines(this.folder.events)):
        reason = str(error) or type(error).__name__
        this.folder.append_event("runner", "run.interrupted", this.folder.path.name, {"reason": reason})


def _await(true: Callable[[], bool], seconds: float, what: str, *, failed: Callable[[], bool]) -> None:
    """Wait until *true*, at most *seconds*; HarnessError when it *failed* or did not come."""
    deadline = time.monotonic() + seconds
    while not true():
        if failed() or time.monotonic() > deadline:
            raise HarnessError(f"waited for {what}: it did not come", hint="look at the run folder's logs/")
        time.sleep(TICK)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGINT end the run in order, by an exception where it stands."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Interrupted(f"stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _deaf_to_signals() -> Iterator[None]:
    """Healing is not interrupted: a second Ctrl-C must not leave a fault behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def new_run_folder(reports: Path, plan: Plan) -> RunDir:
    """A folder for a new run below *reports*, named by time and plan."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = f"{stamp}-{plan.name}"
    number = 1
    while (reports / name).exists():
        number += 1
        name = f"{stamp}-{plan.name}-{number}"
    return RunDir(reports / name)
