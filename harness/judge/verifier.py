"""What every verifier is, and how it says what it found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol, Self

from harness.model.plan import Plan
from harness.model.timeline import Timeline, Window
from harness.model.verdict import Measure, Outcome, Verdict


class Verifier(Protocol):
    """
    Proves one claim from the record alone.

    *needs* are the sources that it reads: it turns inconclusive when one was blind in its window. *rests_on* says
    which conditions (`load`, `machine`) must have held for its word to count; *less_load_excuses* that a claim about
    growth cannot fail under too little load.
    """

    claim: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    rests_on: ClassVar[tuple[str, ...]]
    less_load_excuses: ClassVar[bool]

    @property
    def subject(self) -> str:
        """What the claim is about, as it stands beside the claim in a table row."""
        ...

    @property
    def faults(self) -> tuple[str, ...]:
        """The experiments without which the claim would say nothing."""
        ...

    @classmethod
    def of(cls, plan: Plan) -> Iterable[Self]:
        """One verifier for each claim of this kind in *plan*."""
        ...

    def verify(self, timeline: Timeline) -> Verdict:
        """Whether the claim holds; the verdict's window is where the evidence lies."""
        ...


class Saying:
    """Verdicts in a verifier's own name."""

    __slots__ = ()
    claim: ClassVar[str]
    rests_on: ClassVar[tuple[str, ...]] = ()
    less_load_excuses: ClassVar[bool] = False

    @property
    def subject(self) -> str:
        """Nothing in particular."""
        return ""

    @property
    def faults(self) -> tuple[str, ...]:
        """None."""
        return ()

    def says(
        self,
        outcome: Outcome,
        because: str,
        *measures: Measure,
        hint: str = "",
        window: Window | None = None,
        evidence: Iterable[str] = (),
    ) -> Verdict:
        """A verdict in this verifier's name."""
        span = None if window is None else (window.start, window.end)
        return Verdict(self.claim, self.subject, outcome, because, measures, hint, span, tuple(evidence))

    def passed(self, because: str, *measures: Measure, window: Window | None, evidence: Iterable[str] = ()) -> Verdict:
        """The claim held."""
        return self.says(Outcome.PASS, because, *measures, window=window, evidence=evidence)

    def failed(self, because: str, *measures: Measure, hint: str, window: Window | None = None) -> Verdict:
        """The claim was shown not to hold."""
        return self.says(Outcome.FAIL, because, *measures, hint=hint, window=window)

    def unproven(
        self,
        because: str,
        *measures: Measure,
        hint: str = "",
        window: Window | None = None,
        evidence: Iterable[str] = (),
    ) -> Verdict:
        """The record does not tell."""
        return self.says(Outcome.INCONCLUSIVE, because, *measures, hint=hint, window=window, evidence=evidence)
