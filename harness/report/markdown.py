"""The report as Markdown, for a pull request or a chat."""

from __future__ import annotations

from collections.abc import Sequence

from harness.model.timeline import Timeline
from harness.model.verdict import Outcome, Verdict
from harness.report.figures import end_of, faults
from harness.report.summary import outcome_of, sentence, targets_of

MARKS = {Outcome.PASS: "✅ pass", Outcome.FAIL: "❌ fail", Outcome.INCONCLUSIVE: "❔ inconclusive"}


def render_markdown(timeline: Timeline, verdicts: Sequence[Verdict]) -> str:
    """Verdict table, then what was broken."""
    where = timeline.environment
    lines = [
        f"# {MARKS[outcome_of(verdicts)]}: {timeline.plan.title}",
        "",
        sentence(verdicts),
        "",
        f"Run `{where['run']}`, {end_of(timeline) / 60:.1f} min, target {where['target']['name']}, seed {timeline.plan.seed}.",
        "",
        "| outcome | claim | because |",
        "|-|-|-|",
    ]
    lines += [f"| {MARKS[v.outcome]} | {_cell(v.title)} | {_cell(_because(v))} |" for v in verdicts]
    lines += ["", "| fault | from | to | targets |", "|-|-|-|-|"]
    lines += [
        f"| {span.name} | {span.start:.0f} s | {span.end:.0f} s | {_cell(targets_of(timeline, span.name))} |"
        for span in faults(timeline)
    ]
    return "\n".join(lines) + "\n"


def _because(verdict: Verdict) -> str:
    hint = f" → {verdict.hint}" if verdict.hint and verdict.outcome is not Outcome.PASS else ""
    return verdict.because + hint


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
