"""Service level objectives, phase by phase: good requests against all, and what it cost of the error budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from harness.judge.traffic import Flags, Traffic
from harness.judge.verifier import Saying
from harness.model.plan import Objective, Plan
from harness.model.timeline import Timeline
from harness.model.verdict import Measure, Verdict


@dataclass(frozen=True, slots=True)
class Slo(Saying):
    """In *phase*, at least *objective* of the requests were good; *planned* are the faults that the phase is about."""

    objective: Objective
    phase: str
    planned: tuple[str, ...] = ()

    claim: ClassVar[str] = "slo"
    needs: ClassVar[tuple[str, ...]] = ("load",)
    rests_on: ClassVar[tuple[str, ...]] = ("load", "machine")

    @property
    def subject(self) -> str:
        """The objective's name and the phase."""
        return f"{self.objective.name} ({self.phase})"

    @property
    def faults(self) -> tuple[str, ...]:
        """Those planned for the phase: availability under a fault that was not there shows nothing."""
        return self.planned

    @classmethod
    def of(cls, plan: Plan) -> Iterator[Self]:
        """One for each phase of each objective."""
        for objective in plan.objectives:
            for phase in objective.phases:
                yield cls(objective, phase, tuple(e.name for e in plan.experiments if e.stage == phase))

    def verify(self, timeline: Timeline) -> Verdict:
        """Pass when the share of good requests reaches the objective; inconclusive with too few requests."""
        window = timeline.stage(self.phase)
        if window is None:
            return self.unproven(
                f"stage {self.phase!r} did not run to its end", hint="look at logs/load.log of the run"
            )
        traffic = Traffic.of(timeline)
        due = traffic.during(window) & _named(traffic, self.objective.requests)
        total = int(due.sum())
        if total < self.objective.least_requests:
            because = (
                f"only {total} requests in stage {self.phase!r}; at least {self.objective.least_requests} are needed"
            )
            return self.unproven(
                because, Measure("requests", total), hint="ask for more users or a longer stage", window=window
            )
        good = int((due & self._good(traffic)).sum())
        share = good / total
        measures = (
            Measure("good", share, "of requests", self.objective.objective),
            Measure("requests", total),
            Measure("bad", total - good),
            Measure("error budget used", budget_used(good, total, self.objective.objective), "of budget", 1.0),
            Measure(
                "latency, 99th percentile", float(np.quantile(traffic.took[due], 0.99)), "s", self.objective.threshold
            ),
        )
        because = f"{share:.3%} of {total} requests were {self._word()} ({total - good} were not; the objective is {self.objective.objective:.3%})"
        if share >= self.objective.objective:
            return self.passed(because, *measures, window=window)
        return self.failed(because, *measures, hint=_worst_kind(traffic, due & ~self._good(traffic)), window=window)

    def _good(self, traffic: Traffic) -> Flags:
        if self.objective.threshold is None:
            return traffic.good
        fast: Flags = traffic.took <= self.objective.threshold
        return traffic.good & fast

    def _word(self) -> str:
        return "good" if self.objective.threshold is None else f"answered within {self.objective.threshold:g} s"


def budget_used(good: int, total: int, objective: float) -> float | str:
    """The part of the error budget (1 - *objective*) that the bad requests used; `all` where there is no budget."""
    bad = total - good
    budget = (1 - objective) * total
    if budget <= 0:
        return 0.0 if bad == 0 else "all"
    return bad / budget


def _named(traffic: Traffic, prefix: str) -> Flags:
    if not prefix:
        return np.ones(len(traffic.due), dtype=np.bool_)
    return np.fromiter((str(name).startswith(prefix) for name in traffic.name), dtype=np.bool_, count=len(traffic.name))


def _worst_kind(traffic: Traffic, bad: Flags) -> str:
    """Which request names the bad ones bear most."""
    names, counts = np.unique(traffic.name[bad].astype(str), return_counts=True)
    most = int(np.argmax(counts))
    return f"most of the bad requests ({counts[most]}) are {str(names[most])!r}; see them in requests/ and on the report's timeline"
