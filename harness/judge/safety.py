"""The run came to its own end, and left everything as it found it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from harness.judge.record import interrupted, recorded_until
from harness.judge.verifier import Saying
from harness.model.plan import Plan
from harness.model.timeline import Timeline, Window
from harness.model.verdict import Measure, Verdict


@dataclass(frozen=True, slots=True)
class RunComplete(Saying):
    """The runner recorded its own end; without it the record may stop anywhere."""

    claim: ClassVar[str] = "run_complete"
    needs: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, plan: Plan) -> tuple[Self, ...]:
        """Always one."""
        return (cls(),) if plan.name else ()

    def verify(self, timeline: Timeline) -> Verdict:
        """Inconclusive when the run was stopped or its runner died."""
        until = recorded_until(timeline)
        window = Window(0.0, until)
        because = interrupted(timeline)
        if because is not None:
            return self.unproven(
                because, Measure("recorded", until, "s"), hint="run it again; see logs/", window=window
            )
        return self.passed(
            f"the run came to its end after {until:.0f} s", Measure("recorded", until, "s"), window=window
        )


@dataclass(frozen=True, slots=True)
class EverythingRestored(Saying):
    """Every armed undo was done, and the state afterwards equals the state before."""

    claim: ClassVar[str] = "everything_restored"
    needs: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, plan: Plan) -> tuple[Self, ...]:
        """Always one."""
        return (cls(),) if plan.name else ()

    def verify(self, timeline: Timeline) -> Verdict:
        """Fail when an undo is left or failed, or something differs; inconclusive when nobody compared."""
        latest: dict[str, Mapping[str, Any]] = {str(entry["id"]): entry for entry in timeline.undo}
        states = [str(entry.get("state")) for entry in latest.values()]
        left = [entry for entry in latest.values() if entry.get("state") != "done"]
        compared = timeline.last("restored.compared")
        measures = (Measure("undone", states.count("done"), "faults", len(states)),)
        if left:
            first = left[0]
            said = f": {first.get('error')}" if first.get("error") else ""
            because = f"{len(left)} of {len(states)} undo entries are not done; {first.get('undo')} of {first.get('experiment')} is {first.get('state')}{said}"
            return self.failed(because, *measures, hint="run `gameday undo RUN` on this run folder")
        if compared is None:
            because = f"{len(states)} undo entries are done, but the state was never compared with the one before"
            return self.unproven(
                because, *measures, hint="`gameday undo RUN` is safe to repeat; then look at the stack"
            )
        if compared.value.get("equal") is not True:
            differences = [str(item) for item in compared.value.get("differences") or ()]
            because = f"{len(differences)} things are not as before: {'; '.join(differences[:3]) or 'not said which'}"
            return self.failed(because, *measures, hint="mend these by hand before the next run")
        return self.passed(
            f"{len(states)} of {len(states)} undo entries done, and the state equals the one before",
            *measures,
            window=Window(compared.at, compared.at),
        )
