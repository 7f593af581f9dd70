"""The load, and the machine that makes it."""

import math

import pytest

from harness.judge.load import saturated_spans
from harness.model.timeline import Event, Window
from harness.model.verdict import Outcome


def troubled(story, said):
    verdict = story.verdict("load_delivered")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert said in verdict.because
    return verdict


def test_all_stages_run_and_offered_journeys_started_is_a_load_delivered(story):
    verdict = story.verdict("load_delivered")

    assert verdict.outcome is Outcome.PASS
    assert "all 4 stages ran; 1336 of 1336" in verdict.because


def test_a_generator_that_starts_a_tenth_of_the_journeys_delivers_no_load(story):
    troubled(story.series("load.started", lambda t, v: v / 10), "offered journeys were started (10%)")


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("load.lag", 0.3, "event loop lagged"),
        ("load.late", 0.8, "idle users began over 0.5 s late"),
        ("load.cpu", 0.99, "at its limit of one core"),
    ],
)
def test_a_generator_in_distress_delivers_no_load(story, metric, value, said):
    troubled(story.series(metric, lambda t, v: value if 60 < t < 120 else v), said)


def test_a_load_that_had_to_be_ended_is_not_delivered(story):
    overdue = story.plus(Event(340, "runner", "load.overdue", "spike.py", {"seconds": 60}))

    troubled(overdue, "did not end by itself within 60 s of its last stage")
    assert overdue.verdict("slo: fast while calm").outcome is Outcome.INCONCLUSIVE


def test_a_short_distress_is_no_trouble(story):
    assert (
        story.series("load.lag", lambda t, v: 0.3 if 60 < t < 63 else v).verdict("load_delivered").outcome
        is Outcome.PASS
    )


def test_a_load_killed_by_a_signal_is_not_delivered(story):
    troubled(story.changed("load.ended", code=-9), "ended with code -9")


def test_requests_that_failed_are_no_trouble_of_the_load(story):
    assert story.changed("load.ended", code=1).verdict("load_delivered").outcome is Outcome.PASS


def test_a_stage_that_never_began_is_named(story):
    troubled(
        story.without(lambda e: e.kind == "load.stage" and e.subject == "recovery"), "stage 'recovery' did not run"
    )


def test_a_load_that_ended_early_is_not_delivered(story):
    short = story.without(lambda e: e.kind == "load.ended").plus(
        *[type(e)(310, e.source, e.kind, e.subject, e.value) for e in story.timeline.of("load.ended")]
    )
    troubled(short, "lasted 5 s of 40 s")


def test_a_profile_without_a_schedule_is_held_against_its_users(story):
    def unscheduled(users):
        plain = story.series("load.users", lambda t, v: users)
        kept = tuple(s for s in plain.timeline.series if s.metric not in ("load.offered", "load.started"))
        return type(story)(type(story.timeline)(**{**_fields(plain.timeline), "series": kept}))

    assert unscheduled(60).verdict("load_delivered").outcome is Outcome.PASS
    troubled(unscheduled(20), "there were 20 of 60 users")


def _fields(timeline):
    return {name: getattr(timeline, name) for name in timeline.__slots__}


def test_a_load_without_samples_shows_nothing(story):
    frozen = story
    for metric in ("load.offered", "load.started", "load.users", "load.lag", "load.late", "load.cpu"):
        frozen = frozen.series(metric, lambda t, v: math.nan if 100 < t < 120 else v)

    verdict = frozen.verdict("load_delivered")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "load was blind for 20 s" in verdict.because


def test_a_machine_is_saturated_when_all_cores_are_busy_for_long_and_work_waits(story):
    hot = story.series("machine.cpu_busy", lambda t, v: 0.99 if 60 <= t <= 80 else v)
    waiting = hot.series("machine.cpu_pressure", lambda t, v: 0.8 if 60 <= t <= 80 else v)

    assert saturated_spans(hot.timeline) == []
    assert saturated_spans(waiting.timeline) == [Window(60.0, 80.0)]
    assert waiting.verdict("machine_not_saturated").outcome is Outcome.INCONCLUSIVE


def test_without_pressure_figures_busy_cores_are_enough(story):
    hot = story.series("machine.cpu_busy", lambda t, v: 0.99 if 60 <= t <= 80 else v)
    blind = hot.series("machine.cpu_pressure", lambda t, v: math.nan)

    assert saturated_spans(blind.timeline) == [Window(60.0, 80.0)]


def test_a_short_burst_is_no_saturation(story):
    burst = story.series("machine.cpu_busy", lambda t, v: 1.0 if 60 <= t <= 67 else v)
    burst = burst.series("machine.cpu_pressure", lambda t, v: 1.0)

    assert saturated_spans(burst.timeline) == []
    assert burst.verdict("machine_not_saturated").outcome is Outcome.PASS
