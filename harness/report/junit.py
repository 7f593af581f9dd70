"""The verdicts as JUnit XML, so that a CI server shows them: fail is a failure, inconclusive an error, never skipped."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring  # written only, never parsed

from harness.model.timeline import Timeline
from harness.model.verdict import Outcome, Verdict
from harness.report.figures import end_of


def render_junit(timeline: Timeline, verdicts: Sequence[Verdict]) -> str:
    """One test suite a run, one test case a verdict."""
    counts = [v.outcome for v in verdicts]
    suite = Element(
        "testsuite",
        name=f"gameday.{timeline.plan.name}",
        tests=str(len(verdicts)),
        failures=str(counts.count(Outcome.FAIL)),
        errors=str(counts.count(Outcome.INCONCLUSIVE)),
        skipped="0",
        time=f"{end_of(timeline):.1f}",
    )
    for verdict in verdicts:
        case = SubElement(suite, "testcase", classname=f"gameday.{timeline.plan.name}", name=verdict.title)
        if verdict.outcome is not Outcome.PASS:
            tag = "failure" if verdict.outcome is Outcome.FAIL else "error"
            said = SubElement(case, tag, message=verdict.because, type=verdict.outcome.value)
            said.text = "\n".join((verdict.because, verdict.hint, *verdict.evidence))
        else:
            SubElement(case, "system-out").text = verdict.because
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"
