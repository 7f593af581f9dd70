"""The HorizontalPodAutoscaler's scale-out."""

import math

from harness.model.timeline import Event
from harness.model.verdict import Outcome

CLAIM = "hpa_scales_out"


def stuck(story):
    """The deployment stays at three ready pods."""
    return story.changed("deployment.", ready=3).changed("hpa.", current=3)


def test_it_tells_how_long_each_step_took(story):
    verdict = story.verdict(CLAIM)
    measures = {measure.name: measure.value for measure in verdict.measures}

    assert verdict.outcome is Outcome.PASS
    assert measures["desired reached"] == 20
    assert measures["ready reached"] == 50
    assert measures["expected by the formula"] == 6
    assert 0.25 < measures["CPU of its pods"] < 0.3


def test_an_autoscaler_whose_bounds_are_equal_fails_with_that_reason(story):
    verdict = stuck(story).changed("hpa.", min=3, max=3).verdict(CLAIM)

    assert verdict.outcome is Outcome.FAIL
    assert verdict.because == "maxReplicas equals minReplicas (3): it can't scale"
    assert "at least 5" in verdict.hint


def test_the_evidence_of_equal_bounds_is_the_moment_since_when_they_are(story):
    capped = stuck(story).changed("hpa.", max=3)
    before = capped.verdict(CLAIM).window
    lately = stuck(story).plus(Event(70, "kubernetes", "hpa.changed", "shop/front", {"min": 3, "max": 3, "current": 3}))
    lately = lately.without(lambda e: e.at > 70 and e.kind == "hpa.changed")

    assert before == (2, 2)
    assert lately.verdict(CLAIM).window == (70, 70)


def test_a_maximum_below_what_is_expected_fails(story):
    verdict = stuck(story).changed("hpa.", max=4).verdict(CLAIM)

    assert verdict.outcome is Outcome.FAIL
    assert "maxReplicas is 4" in verdict.because


def test_too_few_replicas_although_called_for_fail(story):
    verdict = stuck(story).verdict(CLAIM)

    assert verdict.outcome is Outcome.FAIL
    assert "only 3 of 5 replicas were ready 90 s after" in verdict.because
    assert "peaked at 140 % (target 70 %)" in verdict.because


def test_load_that_never_called_for_it_shows_nothing(story):
    verdict = stuck(story).changed("hpa.", utilization=76.0).verdict(CLAIM)

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "never called for it: utilization peaked at 76 %" in verdict.because


def test_an_autoscaler_without_metrics_fails_with_its_own_reason(story):
    conditions = {"ScalingActive": {"status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics"}}
    blind = stuck(story).changed("hpa.", scaling_active=False, utilization=None, conditions=conditions)
    verdict = blind.verdict(CLAIM)

    assert verdict.outcome is Outcome.FAIL
    assert "FailedGetResourceMetric" in verdict.because


def test_replicas_that_were_there_before_show_nothing(story):
    verdict = story.changed("deployment.", ready=6).verdict(CLAIM)

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "6 replicas were ready before the stage began" in verdict.because


def test_an_autoscaler_that_is_not_there_shows_nothing(story):
    verdict = story.without(lambda e: e.kind.startswith("hpa.")).verdict(CLAIM)

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "no HorizontalPodAutoscaler shop/front" in verdict.because


def test_without_the_pods_cpu_nothing_shows_that_it_was_called_for(story):
    verdict = story.series("container_cpu_usage_seconds_total", lambda t, v: math.nan if t > 60 else v).verdict(CLAIM)

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "so nothing shows whether it was called for" in verdict.because


def test_without_a_deployment_of_its_name_its_own_count_is_used(story):
    verdict = story.without(lambda e: e.kind.startswith("deployment.")).verdict(CLAIM)

    assert verdict.outcome is Outcome.PASS
    assert "5 ready after 50 s" in verdict.because


def test_a_record_that_ends_too_early_shows_nothing(story):
    cut = (
        stuck(story)
        .without(lambda e: e.at > 100)
        .plus(Event(100, "runner", "run.interrupted", "r", {"reason": "Ctrl-C"}))
    )
    verdict = cut.verdict(CLAIM)

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "the record ends 45 s into the 90 s" in verdict.because
