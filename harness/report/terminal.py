"""The verdict table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from harness.model.timeline import Timeline
from harness.model.verdict import Outcome, Verdict
from harness.report.summary import outcome_of, sentence

COLOURS = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "yellow"}


def verdict_table(timeline: Timeline, verdicts: Sequence[Verdict]) -> Group:
    """Outcome, claim and reason a row, the summary below."""
    table = Table(title=timeline.plan.title, title_justify="left", expand=False, pad_edge=False)
    table.add_column("outcome", no_wrap=True)
    table.add_column("claim", overflow="fold", max_width=44)
    table.add_column("because", overflow="fold")
    for verdict in verdicts:
        because = Text(verdict.because)
        if verdict.hint and verdict.outcome is not Outcome.PASS:
            because.append(f"\n→ {verdict.hint}", style="dim")
        table.add_row(Text(verdict.outcome.value, style=COLOURS[verdict.outcome]), Text(verdict.title), because)
    outcome = outcome_of(verdicts)
    return Group(table, Text(f"{outcome.value.upper()}: {sentence(verdicts)}", style=COLOURS[outcome]))
