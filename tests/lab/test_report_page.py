"""The report's page in a real browser: it draws, it complains of nothing, and it fits a phone."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from harness.judge.judge import judge
from harness.record import load_timeline
from harness.report.html import render_html

pytestmark = pytest.mark.lab

SAMPLE = next(iter(sorted((Path(__file__).parents[2] / "reports" / "sample").glob("*/"))))
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    timeline = load_timeline(SAMPLE)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(timeline, judge(timeline)))
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium")
    assert found, "no chromium on this machine: run `python -m lab.tools.debian --browser`"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield running
        running.close()


@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desktop"])
def test_the_page_draws_all_charts_and_fits_its_window(browser, address, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(address)
    page.wait_for_selector(".chart canvas")

    assert complaints == []
    assert page.locator(".chart").count() == page.locator(".chart canvas").count() >= 6
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_pointing_at_one_chart_reads_all_of_them(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.locator(".chart .u-over").first.hover()
    legends = page.locator(".chart .u-legend .u-series:first-child .u-value").all_text_contents()

    assert len(set(legends)) == 1
    assert legends[0].strip() not in ("", "--")
    page.close()
