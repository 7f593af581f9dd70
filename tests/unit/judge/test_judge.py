"""What holds of every verifier, and how verdicts weigh upon each other."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.judge import judge as judging
from harness.judge.judge import VERIFIERS, judge, overall, verdicts_from_json, verdicts_to_json, verifiers
from harness.judge.slo import Slo
from harness.model.claims import CLAIMS
from harness.model.timeline import Event
from harness.model.verdict import Outcome, Verdict

OUTCOMES = st.sampled_from(list(Outcome))
SOURCES = ("kubernetes", "prometheus", "autoscaling", "load", "machine")


def test_all_is_well_when_all_went_well(story):
    assert {verdict.outcome for verdict in story.verdicts().values()} == {Outcome.PASS}


def test_every_claim_that_a_plan_may_make_has_its_verifier():
    assert set(CLAIMS) <= set(VERIFIERS)
    assert {name: kind.claim for name, kind in VERIFIERS.items()} == {name: name for name in VERIFIERS}


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_was_never_recorded_leaves_no_pass_to_what_needs_it(story, source):
    asked = verifiers(story.timeline.plan)
    verdicts = judge(story.without_source(source).timeline)

    needing = [v.outcome for one, v in zip(asked, verdicts, strict=True) if source in (*one.needs, *one.rests_on)]
    assert needing
    assert set(needing) == {Outcome.INCONCLUSIVE}
    assert overall(verdicts) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("source", ["kubernetes", "prometheus", "autoscaling", "machine"])
def test_a_source_lost_in_the_middle_leaves_no_pass_to_what_needs_it(story, source):
    cut = story.plus(Event(12, source, "observe.lost", source, {"error": "refused"}))
    asked = verifiers(story.timeline.plan)
    verdicts = judge(cut.timeline)

    for one, verdict in zip(asked, verdicts, strict=True):
        if source in one.needs:
            assert verdict.outcome is Outcome.INCONCLUSIVE
            assert f"{source} was blind" in verdict.because
            assert "else pass: " in verdict.because


def test_what_is_inconclusive_for_want_of_a_source_names_the_source_first(story):
    cut = story.plus(Event(60, "prometheus", "observe.lost", "prometheus", {"error": "refused"}))
    cut = cut.series("container_cpu_usage_seconds_total", lambda t, v: v if t < 60 else float("nan"))
    verdict = cut.verdict("hpa_scales_out")

    assert verdict.because.startswith("prometheus was blind for 89 s")
    assert "no CPU usage" in verdict.because
    assert "whether its source was killed" in verdict.hint


def test_a_load_that_fell_silent_is_told_by_what_starved_it(story):
    starved = story.series("load.lag", lambda t, v: 0.4).series("load.users", lambda t, v: v)
    starved = replace(
        starved, timeline=replace(starved.timeline, series=silent(starved.timeline.series, "load.", 60, 70))
    )
    verdict = starved.verdict("load_delivered")

    assert "event loop lagged" in verdict.because
    assert not verdict.because.startswith("load was blind")
    assert any("load was blind" in said for said in verdict.evidence)


def silent(all_series, prefix, since, until):
    """*all_series* without the samples from *since* to *until* of those whose names begin with *prefix*."""

    def cut(one):
        kept = [(t, v) for t, v in zip(one.times, one.values, strict=True) if not since <= t < until]
        return replace(one, times=tuple(t for t, _ in kept), values=tuple(v for _, v in kept))

    return tuple(cut(one) if one.metric.startswith(prefix) else one for one in all_series)


def test_a_collector_that_stopped_early_was_blind_from_then_on(story):
    early = story.without(lambda e: e.kind == "observe.stopped" and e.subject == "kubernetes")
    early = early.plus(Event(60, "kubernetes", "observe.stopped", "kubernetes"))

    assert early.verdict("pods_replaced").outcome is Outcome.INCONCLUSIVE
    assert "kubernetes was blind" in early.verdict("evidence_complete").because


def test_a_verifier_that_breaks_is_inconclusive_with_its_traceback_and_hides_no_other(story, monkeypatch):
    def broken(self, timeline):
        raise ZeroDivisionError("nothing to divide by")

    monkeypatch.setattr(Slo, "verify", broken)
    verdicts = story.verdicts()

    broke = verdicts["slo: fast while calm (baseline)"]
    assert broke.outcome is Outcome.INCONCLUSIVE
    assert "ZeroDivisionError: nothing to divide by" in broke.because
    assert any("Traceback" in line for line in broke.evidence)
    assert verdicts["pods_replaced: kill-pods"].outcome is Outcome.PASS


def test_a_saturated_machine_makes_what_lies_in_its_span_inconclusive(story):
    hot = story.series("machine.cpu_busy", lambda t, v: 1.0 if 60 <= t < 100 else v)
    hot = hot.series("machine.cpu_pressure", lambda t, v: 0.9 if 60 <= t < 100 else v)

    assert hot.verdict("machine_not_saturated").outcome is Outcome.INCONCLUSIVE
    assert hot.verdict("hpa_scales_out").outcome is Outcome.INCONCLUSIVE
    assert "saturated for 39 s" in hot.verdict("hpa_scales_out").because
    assert hot.verdict("slo: fast while calm").outcome is Outcome.PASS


def test_too_little_load_excuses_the_autoscalers_and_takes_every_pass(story):
    stuck = story.changed("deployment.", ready=3).changed("hpa.", current=3)
    assert stuck.verdict("hpa_scales_out").outcome is Outcome.FAIL
    slow = stuck.series("load.started", lambda t, v: v * 0.5)

    assert slow.verdict("load_delivered").outcome is Outcome.INCONCLUSIVE
    assert slow.verdict("hpa_scales_out").outcome is Outcome.INCONCLUSIVE
    assert slow.verdict("slo: fast while calm").outcome is Outcome.INCONCLUSIVE


def test_too_little_load_does_not_excuse_an_autoscaler_that_may_not_scale_at_all(story):
    capped = story.changed("hpa.", max=3).series("load.started", lambda t, v: v * 0.5)

    assert capped.verdict("load_delivered").outcome is Outcome.INCONCLUSIVE
    assert capped.verdict("hpa_scales_out").outcome is Outcome.FAIL


def test_too_little_load_does_not_excuse_errors_unless_the_generator_itself_was_at_fault(story):
    failing = story.requests(error=lambda r: ["500"] * len(r)).series("load.started", lambda t, v: v * 0.5)
    throttled = failing.series("load.lag", lambda t, v: 0.4)

    assert failing.verdict("slo: fast while calm").outcome is Outcome.FAIL
    assert throttled.verdict("slo: fast while calm").outcome is Outcome.INCONCLUSIVE


def test_an_unproved_fault_takes_the_pass_of_what_is_about_it(story):
    unproved = story.without(lambda e: e.kind == "fault.injected" and e.subject == "az-outage")

    assert unproved.verdict("zone_survived").outcome is Outcome.INCONCLUSIVE
    assert unproved.verdict("slo: available under faults").outcome is Outcome.INCONCLUSIVE
    assert unproved.verdict("slo: fast while calm").outcome is Outcome.PASS


def test_errors_under_a_fault_that_was_not_proved_are_errors_still(story):
    unproved = story.without(lambda e: e.kind == "fault.injected" and e.subject == "az-outage")
    failing = unproved.requests(error=lambda r: ["500"] * len(r))

    assert failing.verdict("slo: available under faults").outcome is Outcome.FAIL


def test_trouble_in_the_next_stage_does_not_reach_back_into_this_one(story):
    late = story.series("load.lag", lambda t, v: 0.4 if t >= 175 else v)

    assert late.verdicts()["slo: available while calm (spike)"].outcome is Outcome.PASS
    assert late.verdict("slo: available under faults").outcome is Outcome.INCONCLUSIVE


def test_an_interrupted_run_is_told_first_where_it_explains_what_is_missing(story):
    cut = story.without(lambda e: e.at > 190).plus(
        Event(190, "runner", "run.interrupted", "r", {"reason": "stopped by SIGINT"})
    )
    verdicts = cut.verdicts()

    for title in ("slo: available under faults (faults)", "load_delivered", "faults_injected: az-outage"):
        assert verdicts[title].outcome is Outcome.INCONCLUSIVE
        assert verdicts[title].because.startswith("the run was interrupted after 190 s: stopped by SIGINT, and ")


def test_a_killed_runner_leaves_what_was_over_and_makes_the_rest_inconclusive(story):
    killed = story.without(lambda e: e.at > 240).plus(
        Event(243, "load", "load.ended", "spike.py", {"code": 0}),
        Event(244, "watchdog", "fault.undone", "az-outage", {"id": "1"}),
        Event(245, "watchdog", "restored.compared", "r", {"equal": True, "differences": []}),
        Event(246, "watchdog", "run.interrupted", "r", {"reason": "the runner died"}),
    )
    verdicts = killed.verdicts()

    assert overall(verdicts.values()) is Outcome.INCONCLUSIVE
    assert "the runner died" in verdicts["run_complete"].because
    assert verdicts["everything_restored"].outcome is Outcome.PASS
    assert verdicts["slo: available under faults (faults)"].outcome is Outcome.INCONCLUSIVE
    assert verdicts["zone_survived: us-east-1c (az-outage)"].outcome is Outcome.INCONCLUSIVE
    assert "the run was interrupted after" in verdicts["zone_survived: us-east-1c (az-outage)"].because
    assert verdicts["hpa_scales_out: shop/front (spike)"].outcome is Outcome.PASS


def test_a_record_of_nothing_is_inconclusive_throughout(story):
    empty = replace(
        story.timeline, events=(), series=(), requests=type(story.timeline.requests)(), undo=(), journals={}
    )

    assert {verdict.outcome for verdict in judge(empty)} == {Outcome.INCONCLUSIVE}


def test_judging_twice_gives_the_same_bytes_and_they_read_back_as_the_same_verdicts(story):
    text = verdicts_to_json(judge(story.timeline))

    assert text == verdicts_to_json(judge(story.timeline))
    assert verdicts_to_json(verdicts_from_json(text)) == text
    assert json.loads(text)["outcome"] == "pass"


def test_numbers_that_json_does_not_know_are_said_in_words():
    verdict = Verdict("slo", "", Outcome.FAIL, "x", (judging.Measure("a", float("inf")), judging.Measure("b", 1 / 3)))
    measures = json.loads(verdicts_to_json([verdict]))["verdicts"][0]["measures"]

    assert [measure["value"] for measure in measures] == ["inf", 0.333333]


@given(st.lists(OUTCOMES, min_size=1))
def test_the_worst_outcome_wins(outcomes):
    worst = Outcome.worst(outcomes)

    assert worst in outcomes
    assert (worst is Outcome.FAIL) == (Outcome.FAIL in outcomes)
    assert (worst is Outcome.PASS) == (set(outcomes) == {Outcome.PASS})


def test_of_no_verdict_at_all_nothing_was_shown():
    assert overall([]) is Outcome.INCONCLUSIVE


@settings(max_examples=25, deadline=None)
@given(
    lost=st.sets(st.sampled_from(SOURCES)),
    busy=st.floats(0.5, 1.0),
    started=st.floats(0.0, 1.0),
    dropped=st.sampled_from(["", "fault.injected", "restored.compared", "run.ended", "load.ended", "load.stage"]),
)
def test_taking_evidence_away_never_turns_another_outcome_into_a_pass(story, lost, busy, started, dropped):
    poor = story.changed("hpa.", max=3).without(lambda e: e.kind == dropped)
    poor = poor.series("machine.cpu_busy", lambda t, v: busy).series("load.started", lambda t, v: v * started)
    for source in lost:
        poor = poor.without_source(source)

    assert poor.verdict("hpa_scales_out").outcome is not Outcome.PASS
    assert overall(poor.verdicts().values()) is not Outcome.PASS


@given(OUTCOMES, st.lists(st.text(min_size=1), min_size=1))
def test_weighing_a_verdict_down_keeps_its_sentence_and_never_passes(outcome, reasons):
    before = Verdict("slo", "x", outcome, "it was so", window=(0, 1))
    after = judging._demoted(before, reasons, "a hint")

    assert after.outcome is Outcome.INCONCLUSIVE
    assert "it was so" in after.because
