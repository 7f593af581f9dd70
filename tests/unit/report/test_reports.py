"""Every report says the outcome, each verdict and what was broken."""

import dataclasses
import json
import re
from xml.etree import ElementTree as ET

import pytest

from harness.model.verdict import Measure, Outcome, Verdict
from harness.report.figures import faults, figures
from harness.report.html import measure, render_html
from harness.report.junit import render_junit
from harness.report.markdown import render_markdown
from harness.report.summary import sentence
from tests.timelines import changed, small_timeline

VERDICTS = (
    Verdict("load delivered", "", Outcome.PASS, "600 of 600 journeys"),
    Verdict(
        "objective",
        "available in faults",
        Outcome.FAIL,
        "98.3 % < 99 %",
        (Measure("ratio", 0.983, "", 0.99),),
        "look at <pod>",
    ),
    Verdict("scaled out", "shop/front", Outcome.INCONCLUSIVE, "no replica | count", evidence=("line 1",)),
)


def test_html_says_all_and_escapes_what_people_wrote():
    page = render_html(small_timeline(), VERDICTS)

    for verdict in VERDICTS:
        assert verdict.title in page
    assert "Does the &lt;shop&gt; hold?" in page
    assert "<shop>" not in page
    assert "look at &lt;pod&gt;" in page
    assert "front-a" in page


def test_html_needs_nothing_from_elsewhere():
    page = render_html(small_timeline(), VERDICTS)

    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert "@import" not in page


def test_html_data_cannot_close_its_script():
    timeline = small_timeline()
    errors = ["</script><b>"] * len(timeline.requests)
    page = render_html(changed(timeline, requests=dataclasses.replace(timeline.requests, error=errors)), VERDICTS)

    data = re.search(r"const DATA = (.*);", page).group(1)
    assert "</script" not in data
    assert json.loads(data)["figures"]


def test_junit_counts_inconclusive_as_error_and_skips_nothing():
    suite = ET.fromstring(render_junit(small_timeline(), VERDICTS)).find("testsuite")

    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "3",
        "1",
        "1",
        "0",
    )


def test_markdown_keeps_its_table_whole():
    text = render_markdown(small_timeline(), VERDICTS)

    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (4, 5) for row in rows)
    assert "no replica \\| count" in text


def test_the_sentence_names_what_failed():
    assert "objective: available in faults" in sentence(VERDICTS)
    assert "held" in sentence(VERDICTS[:1])
    assert "held" not in sentence(())


def test_figures_show_failures_replicas_and_the_fault():
    timeline = small_timeline()
    drawn = {figure.title: figure for figure in figures(timeline)}

    assert sum(v or 0 for v in drawn["Failed requests by cause"].lines["ConnectionRefusedError"]) == 5
    ready = drawn["Replicas"].lines["shop/front ready"]
    assert (ready[30], ready[36], ready[50]) == (2.0, 1.0, 2.0)
    assert drawn["Load"].lines["requests/s"][0] == 0.0
    assert [(span.name, span.start, span.end) for span in faults(timeline)] == [("kill-pods", 35, 42)]


@pytest.mark.parametrize(
    ("value", "text"), [(0.98312, "0.983"), (12.0, "12"), (1234.5, "1234"), (None, "unknown"), ("a", "a")]
)
def test_measures_read_well(value, text):
    assert measure(value) == text
