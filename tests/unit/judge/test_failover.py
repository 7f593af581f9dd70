"""Replacement of pods, and life without a zone."""

import numpy as np

from harness.model.timeline import Event
from harness.model.verdict import Outcome

PODS, ZONE = "pods_replaced", "zone_survived"


def test_pods_are_back_when_as_many_are_ready_as_before(story):
    verdict = story.verdict(PODS)

    assert verdict.outcome is Outcome.PASS
    assert {m.name: m.value for m in verdict.measures} == {"killed": 2, "replaced after": 10.0}


def test_pods_that_are_not_replaced_fail(story):
    short = story.without(lambda e: e.subject == "shop/front-abc-8")
    verdict = short.verdict(PODS)

    assert verdict.outcome is Outcome.FAIL
    assert "ReplicaSet/front-abc has 5 ready of 6" in verdict.because


def test_fewer_are_enough_when_the_deployment_wants_fewer(story):
    fewer = story.without(lambda e: e.subject == "shop/front-abc-8")
    fewer = fewer.plus(Event(200, "kubernetes", "deployment.changed", "shop/front", {"spec": 5, "ready": 5}))

    assert fewer.verdict(PODS).outcome is Outcome.PASS


def test_pods_that_were_not_killed_are_not_replaced(story):
    assert story.without(lambda e: e.kind == "fault.injected").verdict(PODS).outcome is Outcome.INCONCLUSIVE


def test_pods_that_the_record_does_not_know_show_nothing(story):
    verdict = story.changed("fault.injected", targets=["shop/other"]).verdict(PODS)

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "none of the 1 killed pods is in the record" in verdict.because


def erring(since, until, share=1.0):
    """An error for *share* of the requests sent in that time."""

    def column(requests):
        start = np.asarray(requests.start)
        hit = (start >= since) & (start < until) & (np.arange(len(start)) % 100 < share * 100)
        return np.where(hit, "HTTP 503", "").astype(object)

    return column


def test_a_zone_is_survived_with_its_numbers(story):
    values = {measure.name: measure.value for measure in story.verdict(ZONE).measures}

    assert round(values["good during the outage"], 4) == 0.9725
    assert values["good again"] == 5
    assert values["pods ready in other zones"] == 5
    assert values["nodes ready again"] == 5


def test_too_many_errors_without_the_zone_fail(story):
    verdict = story.requests(error=erring(220, 235)).verdict(ZONE)

    assert verdict.outcome is Outcome.FAIL
    assert "below 90.00%" in verdict.because


def test_a_service_that_does_not_come_back_fails(story):
    verdict = story.requests(error=erring(220, 345, share=0.05)).verdict(ZONE)

    assert verdict.outcome is Outcome.FAIL
    assert "requests were not good again (99% over 10 s) within 60 s of the cut" in verdict.because


def test_nodes_that_do_not_come_back_fail(story):
    verdict = story.without(lambda e: e.subject == "node-c" and e.at > 280).verdict(ZONE)

    assert verdict.outcome is Outcome.FAIL
    assert "us-east-1c's nodes were not ready again within 60 s of the undo" in verdict.because


def test_nodes_not_back_when_the_record_ends_too_early_show_nothing(story):
    early = story.without(lambda e: (e.subject == "node-c" and e.at > 280) or e.kind == "run.ended")
    verdict = early.plus(Event(320, "runner", "run.ended", "r")).verdict(ZONE)

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "when the record ended" in verdict.because


def test_no_pod_in_another_zone_fails(story):
    verdict = story.changed("pod.", zone="us-east-1c").verdict(ZONE)

    assert verdict.outcome is Outcome.FAIL
    assert "no pod was ready in another zone" in verdict.because


def test_an_outage_without_its_end_shows_nothing(story):
    verdict = story.without(lambda e: e.kind in ("fault.undone", "fault.ended")).verdict(ZONE)

    assert verdict.outcome is Outcome.INCONCLUSIVE
