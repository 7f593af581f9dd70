"""
Old records are judged as they were: the committed sample, recordings of real runs in which something was wrong, and run
folders of stories made by hand.

A recording is kept with `gameday keep RUN tests/replay/recordings/<what_happened>_<outcome>`.

`GAMEDAY_UPDATE_GOLDENS=1 pytest tests/replay` writes the goldens anew; read their difference before you commit it.
"""

import os
from pathlib import Path

import pytest

from harness.judge.judge import judge, overall, verdicts_to_json
from harness.model.timeline import Event
from harness.record import load_timeline
from tests.replay.folders import write_run
from tests.stories import all_well

HERE = Path(__file__).parent
RECORDINGS = sorted(path.parent for path in (HERE / "recordings").glob("*/verdicts.json"))
SAMPLES = sorted(path.parent for path in (HERE.parents[1] / "reports" / "sample").glob("*/verdicts.json"))


def prometheus_killed(story):
    lost = story.plus(Event(70, "prometheus", "observe.lost", "prometheus", {"error": "connection refused"}))
    return lost.series("container_cpu_usage_seconds_total", lambda t, v: v if t < 66 else float("nan"))


def runner_killed(story):
    return story.without(lambda e: e.at > 240).plus(
        Event(243, "load", "load.ended", "spike.py", {"code": 0}),
        Event(244, "watchdog", "fault.undone", "az-outage", {"id": "1"}),
        Event(245, "watchdog", "restored.compared", "r", {"equal": True, "differences": []}),
        Event(246, "watchdog", "run.interrupted", "r", {"reason": "the runner died"}),
    )


STORIES = {
    "all_went_well_pass": lambda story: story,
    "hpa_cannot_scale_fail": lambda story: story.changed("hpa.", max=3, current=3).changed("deployment.", ready=3),
    "prometheus_killed_inconclusive": prometheus_killed,
    "runner_killed_inconclusive": runner_killed,
    "generator_throttled_inconclusive": lambda story: story.series("load.started", lambda t, v: v / 10),
}


def test_a_sample_of_a_real_run_is_committed():
    assert SAMPLES, "reports/sample/ holds no judged run"


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_judged_again_to_the_same_bytes(folder):
    assert verdicts_to_json(judge(load_timeline(folder))) == (folder / "verdicts.json").read_text()


@pytest.mark.parametrize("folder", RECORDINGS, ids=lambda path: path.name)
def test_a_recording_is_judged_as_its_name_says_and_to_the_same_bytes_as_ever(folder):
    verdicts = judge(load_timeline(folder))
    if os.environ.get("GAMEDAY_UPDATE_GOLDENS"):
        (folder / "verdicts.json").write_text(verdicts_to_json(verdicts))

    assert folder.name.endswith(f"_{overall(verdicts)}")
    assert verdicts_to_json(verdicts) == (folder / "verdicts.json").read_text()


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_judged_as_its_name_says_and_to_the_same_bytes_as_ever(name, tmp_path):
    run = write_run(STORIES[name](all_well()).timeline, tmp_path / name)
    verdicts = judge(load_timeline(run.path))
    golden = HERE / "goldens" / f"{name}.json"
    if os.environ.get("GAMEDAY_UPDATE_GOLDENS"):
        golden.write_text(verdicts_to_json(verdicts))

    assert name.endswith(f"_{overall(verdicts)}")
    assert verdicts_to_json(verdicts) == golden.read_text()
