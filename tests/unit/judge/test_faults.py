"""Proof that a fault was there and hit something."""

import numpy as np
import pytest

from harness.model.verdict import Outcome

KILL, CUT = "faults_injected: kill-pods", "faults_injected: az-outage"


def unproved(story, title, said):
    verdict = story.verdicts()[title]
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert said in verdict.because


def test_killed_pods_that_served_and_are_gone_are_proof(story):
    assert "2 pods are gone, 2 of which were serving" in story.verdicts()[KILL].because


def test_a_silent_zone_is_proof(story):
    assert "us-east-1c answered 196 requests" in story.verdicts()[CUT].because
    assert "and none of" in story.verdicts()[CUT].because


def test_a_fault_that_was_never_injected_is_unproved(story):
    unproved(story.without(lambda e: e.kind == "fault.injected"), KILL, "its experiment ran, and recorded no harm")
    unproved(
        story.without(lambda e: e.kind in ("fault.injected", "experiment.started")),
        KILL,
        "its experiment never started",
    )


def test_a_fault_without_targets_is_unproved(story):
    unproved(story.changed("fault.injected", targets=[]), KILL, "it names no target")


def test_pods_that_are_still_there_were_not_killed(story):
    unproved(story.without(lambda e: e.kind == "pod.deleted"), KILL, "2 of 2 pods were still there")


def test_pods_that_nobody_asked_anything_are_no_live_traffic(story):
    unproved(
        story.requests(pod=lambda r: np.full(len(r), "", dtype=object)), KILL, "none of the 2 killed pods was serving"
    )


def test_a_ready_endpoint_was_serving_also_when_answers_do_not_name_their_pod(story):
    nameless = story.requests(pod=lambda r: np.full(len(r), "", dtype=object))
    event = next(story.timeline.of("hpa.added"))
    ready = type(event)(100, "kubernetes", "endpoints.added", "shop/front", {"ready": ["front-abc-1"], "not_ready": []})

    verdict = nameless.plus(ready).verdicts()[KILL]
    assert verdict.outcome is Outcome.PASS
    assert "2 pods are gone, 1 of which were serving" in verdict.because


def test_a_zone_that_still_answers_was_not_cut_off(story):
    def zones(requests):
        held = np.asarray(requests.start) > 240
        return np.where(held & (np.arange(len(requests)) % 7 == 0), "us-east-1c", requests.zone).astype(object)

    unproved(story.requests(zone=zones), CUT, "us-east-1c was not cut off")


def test_a_zone_that_served_nobody_before_proves_nothing(story):
    gone = story.requests(zone=lambda r: np.where(np.asarray(r.zone) == "us-east-1c", "", r.zone).astype(object))

    unproved(gone, CUT, "answered no request in the 30 s before")


def test_an_outage_without_traffic_proves_nothing(story):
    def early(requests):
        start = np.asarray(requests.start)
        return np.where((start > 220) & (start < 290), start - 100, start)

    unproved(story.requests(start=early, intended=lambda r: np.full(len(r), np.nan)), CUT, "no request was sent while")


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_chaos_toolkits_status_is_no_verdict_but_a_failed_action_is(story, status):
    trace = ["Traceback\n", "TargetError: no such subnet\n"]
    run = [{"activity": {"type": "action", "name": "cut"}, "status": status, "exception": trace}]
    journals = {**story.timeline.journals, "az-outage": {"status": "completed", "run": run}}

    unproved(story.journals(journals), CUT, f"action 'cut' {status}: TargetError: no such subnet")


def test_an_experiment_without_a_journal_is_unproved(story):
    unproved(story.journals({}), CUT, "left no journal")


def test_targets_that_the_record_does_not_know_are_no_proof(story):
    unproved(story.changed("fault.injected", targets=["i-0abc"], details={}), CUT, "neither pods nor zones")
