"""Objectives, phase by phase."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge.slo import budget_used
from harness.model.plan import Objective
from harness.model.verdict import Outcome

CALM = "slo: available while calm (baseline)"


def failing(share):
    """Every request whose number falls in *share* (0..1) bears an error."""
    return lambda requests: np.where(np.arange(len(requests)) % 1000 < share * 1000, "HTTP 500", "").astype(object)


def measures(verdict):
    return {measure.name: measure.value for measure in verdict.measures}


def test_too_many_errors_fail_with_the_numbers_and_the_worst_request(story):
    verdict = story.requests(error=failing(0.02)).verdicts()[CALM]

    assert verdict.outcome is Outcome.FAIL
    assert verdict.because == "97.778% of 900 requests were good (20 were not; the objective is 99.900%)"
    assert measures(verdict)["error budget used"] == pytest.approx(20 / 0.9)
    assert "'browse'" in verdict.hint


def test_too_few_requests_show_nothing(story):
    few = story.requests(start=lambda r: np.asarray(r.start) + 300, intended=lambda r: np.asarray(r.intended) + 300)
    verdict = few.verdicts()[CALM]

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "only 0 requests" in verdict.because


def test_latency_counts_from_the_intended_start(story):
    late = story.requests(intended=lambda r: np.asarray(r.start) - 0.6)
    verdict = late.verdicts()["slo: fast while calm (baseline)"]

    assert verdict.outcome is Outcome.FAIL
    assert measures(verdict)["latency, 99th percentile"] == pytest.approx(0.62)


def test_an_unanswered_request_is_not_fast(story):
    broken = story.requests(error=failing(0.5), latency=lambda r: np.zeros(len(r)))

    assert broken.verdicts()["slo: fast while calm (baseline)"].outcome is Outcome.FAIL


def test_a_request_without_a_schedule_counts_from_when_it_was_sent(story):
    plain = story.requests(intended=lambda r: np.full(len(r), np.nan))

    assert plain.verdicts()["slo: fast while calm (baseline)"].outcome is Outcome.PASS


def test_a_request_belongs_to_the_phase_in_which_it_was_due(story):
    # Every request was due one stage earlier than it was sent: the spike's requests are the baseline's.
    moved = story.requests(intended=lambda r: np.asarray(r.start) - 45)

    assert measures(moved.verdicts()[CALM])["requests"] == 900
    assert measures(moved.verdicts()["slo: available under faults (faults)"])["requests"] > 0


def test_an_objective_may_be_about_some_requests_only(story):
    only = Objective("checkout", "availability", 0.9, ("baseline",), requests="check", least_requests=10)
    named = story.requests(name=lambda r: np.where(np.arange(len(r)) % 10 == 0, "checkout", "browse").astype(object))

    assert measures(named.planned(objectives=(only,)).verdict("slo"))["requests"] == 90


@given(st.integers(1, 10**6), st.floats(0.5, 0.9999), st.data())
def test_the_budget_is_used_up_just_when_the_objective_is_missed(total, objective, data):
    good = data.draw(st.integers(0, total))
    used = budget_used(good, total, objective)

    assert isinstance(used, float)
    assert used >= 0
    if abs(good / total - objective) > 1e-9:
        assert (used > 1) == (good / total < objective)


def test_a_full_objective_has_no_budget():
    assert budget_used(10, 10, 1.0) == 0.0
    assert budget_used(9, 10, 1.0) == "all"
