"""What the judge says: three outcomes, a reason, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """How a claim stands; the worst of many is fail, then inconclusive, then pass."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    @classmethod
    def worst(cls, outcomes: Iterable[Outcome]) -> Outcome:
        """Fail if any fails, else inconclusive if any is; of none at all inconclusive, for nothing was shown."""
        seen = set(outcomes)
        for outcome in (cls.FAIL, cls.INCONCLUSIVE, cls.PASS):
            if outcome in seen:
                return outcome
        return cls.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Measure:
    """One number behind a verdict, with the bound that it was held against, if any."""

    name: str
    value: float | str | None
    unit: str = ""
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    Whether one claim about the stack held.

    *because* is one sentence with numbers, for a person at 3 a.m.; *hint* says what to look at or change.
    *window* is the span of the timeline (seconds since the run's start) that the evidence lies in.
    """

    claim: str
    subject: str
    outcome: Outcome
    because: str
    measures: tuple[Measure, ...] = ()
    hint: str = ""
    window: tuple[float, float] | None = None
    evidence: tuple[str, ...] = field(default=())

    @property
    def title(self) -> str:
        """The claim with its subject, as it heads a table row."""
        return f"{self.claim}: {self.subject}" if self.subject else self.claim
