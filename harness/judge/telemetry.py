"""The evidence itself is whole: no source that a claim of this plan needs was blind for long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from harness.judge.record import blindness, load_window
from harness.judge.verifier import Saying
from harness.model.plan import Plan
from harness.model.timeline import Timeline
from harness.model.verdict import Measure, Verdict

_OF_CLAIM = {
    "hpa_scales_out": ("prometheus",),
    "cluster_autoscaler_adds_nodes": ("autoscaling",),
}


@dataclass(frozen=True, slots=True)
class EvidenceComplete(Saying):
    """All of *sources* told throughout the load; never fails, for a blind watcher is no fault of the stack."""

    sources: tuple[str, ...]

    claim: ClassVar[str] = "evidence_complete"
    needs: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, plan: Plan) -> tuple[Self, ...]:
        """Always one, about the sources that the plan's claims need."""
        asked = {source for e in plan.expectations for source in ("kubernetes", *_OF_CLAIM.get(e.verifier, ()))}
        if plan.experiments:
            asked.add("kubernetes")
        return (cls(tuple(sorted(asked | {"load", "machine"}))),)

    def verify(self, timeline: Timeline) -> Verdict:
        """Inconclusive when a source was blind for longer than its bound while the load ran."""
        window = load_window(timeline)
        if window is None:
            return self.unproven("the load never began, so there was nothing to watch", hint="look at logs/")
        found = [said for source in self.sources if (said := blindness(timeline, source, window)) is not None]
        measures = (Measure("sources whole", len(self.sources) - len(found), bound=len(self.sources)),)
        if found:
            hint = "see logs/ for the collector, and whether its source was restarted or killed"
            return self.unproven("; ".join(found), *measures, hint=hint, window=window, evidence=found)
        return self.passed(
            f"{', '.join(self.sources)}: none blind for long while the load ran", *measures, window=window
        )
