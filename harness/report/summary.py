"""A run in words: the sentence over a report, and what each fault hit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.model.timeline import Timeline
from harness.model.verdict import Outcome, Verdict


def outcome_of(verdicts: Sequence[Verdict]) -> Outcome:
    """The run's outcome: the worst of its verdicts."""
    return Outcome.worst(verdict.outcome for verdict in verdicts)


def sentence(verdicts: Sequence[Verdict]) -> str:
    """One sentence for a person who reads no further."""
    count = Counter(verdict.outcome for verdict in verdicts)
    if outcome_of(verdicts) is Outcome.PASS:
        return f"The stack held: all {len(verdicts)} claims are shown."
    parts = []
    if count[Outcome.FAIL]:
        names = ", ".join(v.title for v in verdicts if v.outcome is Outcome.FAIL)
        parts.append(f"{count[Outcome.FAIL]} of {len(verdicts)} claims failed: {names}")
    if count[Outcome.INCONCLUSIVE]:
        names = ", ".join(v.title for v in verdicts if v.outcome is Outcome.INCONCLUSIVE)
        parts.append(f"{count[Outcome.INCONCLUSIVE]} could not be shown either way: {names}")
    return "; ".join(parts) + "." if parts else "Nothing was judged."


def targets_of(timeline: Timeline, fault: str) -> str:
    """The names of what *fault* hit, as the record says."""
    names: list[str] = []
    for event in timeline.of("fault.injected", fault):
        names += [str(target) for target in event.value.get("targets", [])]
    return ", ".join(dict.fromkeys(names)) or "nothing that the record names"
