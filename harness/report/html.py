"""The report as one HTML file that needs nothing else: verdicts first, then the timeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from harness.model.timeline import Timeline
from harness.model.verdict import Verdict
from harness.report.figures import Figure, end_of, faults, figures, stages
from harness.report.summary import outcome_of, sentence, targets_of


def render_html(timeline: Timeline, verdicts: Sequence[Verdict]) -> str:
    """The whole page."""
    room = resources.files("harness.report")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"measure": measure, "seconds": lambda value: f"{value:.0f} s"}
    template = environment.from_string(room.joinpath("template.html").read_text())
    static = room.joinpath("static")
    recorded = timeline.environment
    return template.render(
        outcome=outcome_of(verdicts).value,
        summary=sentence(verdicts),
        plan=timeline.plan,
        run=recorded["run"],
        target=recorded["target"]["name"],
        started=datetime.fromtimestamp(recorded["started"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        minutes=f"{end_of(timeline) / 60:.1f} min",
        verdicts=verdicts,
        faults=[_fault(timeline, span.name, span.start, span.end) for span in faults(timeline)],
        capabilities=recorded.get("capabilities", []),
        versions=recorded.get("versions", {}),
        uplot_js=Markup(static.joinpath("uPlot.iife.min.js").read_text()),  # noqa: S704 - our own file
        uplot_css=Markup(static.joinpath("uPlot.min.css").read_text()),  # noqa: S704 - our own file
        data=_script(_data(timeline)),
    )


def measure(value: object) -> str:
    """A number as people read it: three significant digits, no trailing noise."""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return "unknown" if value is None else str(value)


def _fault(timeline: Timeline, name: str, start: float, end: float) -> dict[str, Any]:
    return {"name": name, "start": start, "end": end, "targets": targets_of(timeline, name)}


def _data(timeline: Timeline) -> dict[str, Any]:
    return {
        "figures": [_drawn(figure) for figure in figures(timeline)],
        "faults": [{"name": s.name, "start": s.start, "end": s.end} for s in faults(timeline)],
        "stages": [{"name": s.name, "start": s.start, "end": s.end} for s in stages(timeline)],
    }


def _drawn(figure: Figure) -> dict[str, Any]:
    return {
        "title": figure.title,
        "unit": figure.unit,
        "stepped": figure.stepped,
        "times": figure.times,
        "lines": [{"name": name, "values": values} for name, values in figure.lines.items()],
    }


def _script(document: object) -> Markup:
    """*document* as JSON that cannot close the script element that it stands in."""
    text = json.dumps(document, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return Markup(text)  # noqa: S704 - no "<" is left in it
