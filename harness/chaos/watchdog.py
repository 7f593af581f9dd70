"""
Finishes the undo of a run whose runner died or hangs: `python -m harness.chaos.watchdog RUN --target FILE --runner-pid N`.

It says `watchdog.standing` once it could act at once (target read, clients loaded). When the runner's process ends
without releasing its lease, or the lease expires, it takes the lease, ends the run's processes, replays the undo
journal, compares what it restored with what was before, and records each of it.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_exponential

from harness.chaos import lease
from harness.chaos.processes import Process, end_processes, kill_after_grace, process
from harness.chaos.undo import UndoJournal, known_undos
from harness.model.errors import HarnessError
from harness.rundir import RunDir
from harness.target.target import Target
from harness.target.targetfile import load_target

LOOKS_EVERY = 0.25
KEEPS_TRYING = 60.0


@dataclass(frozen=True, slots=True)
class Restored:
    """What taking over came to: *compared* entries of the journal, and what still differs from before their harm."""

    compared: int
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether all is as it was."""
        return not self.differences


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 when all is undone, 4 when something is not, or when it could not stand watch."""
    parser = argparse.ArgumentParser(prog="python -m harness.chaos.watchdog")
    parser.add_argument("run", type=Path)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--runner-pid", type=int, required=True)
    asked = parser.parse_args(argv)
    # A Ctrl-C, or a terminal that closes, is meant for the runner; this is who stays when it goes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return stand_watch(RunDir(asked.run.resolve()), load_target(asked.target), asked.runner_pid)
    except HarnessError as error:
        sys.stderr.write(f"watchdog: {error}\n")
        return 4


def stand_watch(run: RunDir, target: Target, runner_pid: int) -> int:
    """Watch the runner until it ends, and finish what it left; see `main` for the exit code."""
    known_undos()  # imported before they are needed: it takes seconds, and then there are none to lose
    runner = lease.holder(run)
    if runner is not None and runner.pid != runner_pid:
        raise HarnessError(f"the lease of {run.path} is held by process {runner.pid}, not by {runner_pid}")
    run.append_event("watchdog", "watchdog.standing", run.path.name, {"pid": os.getpid(), "runner": runner_pid})
    reason = await_reason(run, runner)
    if reason is None:
        return 0
    return 0 if take_over(run, target, reason).equal else 4


def await_reason(run: RunDir, runner: Process | None) -> str | None:
    """Why the run must be taken over; None when the runner ended in order and left nothing to undo."""
    clock = lease.LeaseClock()
    descriptor = _pidfd(runner)
    try:
        while True:
            ended = descriptor is None or bool(select.select([descriptor], [], [], LOOKS_EVERY)[0])
            # Asked only after the runner was seen to have ended: it may have released in its last moment.
            if lease.released(run):
                pending = len(UndoJournal(run).pending())
                return f"the runner left {pending} faults that are not undone" if pending else None
            if ended:
                return "the runner died"
            if clock.look(lease.renewal(run), time.monotonic()):
                return f"the runner did not renew its lease for {lease.EXPIRES_AFTER:.0f} s"
    finally:
        if descriptor is not None:
            os.close(descriptor)


def take_over(run: RunDir, target: Target, reason: str, keeps_trying: float = KEEPS_TRYING) -> Restored:
    """End the run's processes, undo what is pending, compare, record; tries for *keeps_trying* seconds."""
    began = time.monotonic()
    lease.take(run, reason)
    run.append_event("watchdog", "watchdog.took_over", run.path.name, {"reason": reason})
    runner = lease.holder(run)
    spare = frozenset({os.getpid(), *([runner.pid] if runner is not None else [])})
    asked = end_processes(run, spare)
    restored = finish_undo(run, target, "watchdog", keeps_trying)
    kill_after_grace(asked, began)
    value = {"equal": restored.equal, "differences": list(restored.differences), "compared": restored.compared}
    run.append_event("watchdog", "restored.compared", run.path.name, value)
    run.append_event("watchdog", "run.interrupted", run.path.name, {"reason": reason})
    return restored


def finish_undo(run: RunDir, target: Target, source: str, keeps_trying: float) -> Restored:
    """Undo what is pending, and look again afterwards; tries until it is restored or *keeps_trying* seconds are over."""
    journal = UndoJournal(run, settles_within=3.0)
    due = [entry.id for entry in journal.pending()]

    def attempt() -> tuple[str, ...]:
        # Done entries again too: a call that its killed process had under way may have landed after their undo.
        changed = [each for each in due if journal.differences(target, [each])]
        failed = [f"{r.experiment}: {r.error}" for r in journal.replay(target, source, again=changed) if not r.ok]
        return tuple(failed or journal.differences(target, due))

    def last(attempts: RetryCallState) -> tuple[str, ...]:
        assert attempts.outcome is not None  # noqa: S101 - tenacity calls this after an attempt
        differences: tuple[str, ...] = attempts.outcome.result()
        return differences

    retrying = Retrying(
        stop=stop_after_delay(keeps_trying),
        wait=wait_exponential(multiplier=0.25, max=5),
        retry=retry_if_result(bool),
        retry_error_callback=last,
    )
    return Restored(len(due), retrying(attempt) if due else ())


def _pidfd(runner: Process | None) -> int | None:
    """A handle on the runner that no recycled pid can fool; None when it is gone."""
    if runner is None:
        return None
    try:
        descriptor = os.pidfd_open(runner.pid)
    except ProcessLookupError:
        return None
    now = process(runner.pid)
    if now is not None and now.started == runner.started:
        return descriptor
    os.close(descriptor)
    return None


if __name__ == "__main__":
    sys.exit(main())
