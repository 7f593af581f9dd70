"""The reports of a run, each format one file; REPORTS is the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.model.timeline import Timeline
from harness.model.verdict import Verdict
from harness.report.html import render_html
from harness.report.junit import render_junit
from harness.report.markdown import render_markdown
from harness.rundir import RunDir

REPORTS: dict[str, Callable[[Timeline, Sequence[Verdict]], str]] = {
    "report.html": render_html,
    "report.md": render_markdown,
    "junit.xml": render_junit,
}


def write_reports(folder: RunDir, timeline: Timeline, verdicts: Sequence[Verdict]) -> list[Path]:
    """Write every report into the run's folder; their paths."""
    written = []
    for name, render in REPORTS.items():
        path = folder.path / name
        path.write_text(render(timeline, verdicts))
        written.append(path)
    return written
