"""A run's end, and what it leaves behind."""

from harness.model.timeline import Event
from harness.model.verdict import Outcome

ARMED = {"id": "1", "experiment": "az-outage", "undo": "restore_network_acls", "state": "armed"}


def restored(story):
    return story.verdict("everything_restored")


def test_done_and_equal_is_restored(story):
    assert restored(story).outcome is Outcome.PASS
    assert "1 of 1 undo entries done" in restored(story).because


def test_an_armed_undo_fails_and_says_what_to_do(story):
    verdict = restored(story.undo(ARMED))

    assert verdict.outcome is Outcome.FAIL
    assert "restore_network_acls of az-outage is armed" in verdict.because
    assert "gameday undo" in verdict.hint


def test_a_failed_undo_fails_with_its_error(story):
    assert "AccessDenied" in restored(story.undo(ARMED, ARMED | {"state": "failed", "error": "AccessDenied"})).because


def test_an_undo_that_failed_first_and_was_done_later_is_done(story):
    assert restored(story.undo(ARMED, ARMED | {"state": "failed"}, ARMED | {"state": "done"})).outcome is Outcome.PASS


def test_a_state_that_differs_fails(story):
    verdict = restored(story.changed("restored.compared", equal=False, differences=["subnet-c has another ACL"]))

    assert verdict.outcome is Outcome.FAIL
    assert "subnet-c has another ACL" in verdict.because


def test_a_state_that_nobody_compared_shows_nothing(story):
    assert restored(story.without(lambda e: e.kind == "restored.compared")).outcome is Outcome.INCONCLUSIVE


def test_a_run_without_an_end_was_interrupted(story):
    verdict = story.without(lambda e: e.kind == "run.ended" or e.at > 250).verdict("run_complete")

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "interrupted" in verdict.because


def test_a_run_that_was_stopped_says_why(story):
    stopped = story.without(lambda e: e.kind == "run.ended")
    verdict = stopped.plus(Event(300, "runner", "run.interrupted", "r", {"reason": "stopped by SIGINT"})).verdict(
        "run_complete"
    )

    assert verdict.because == "the run was interrupted after 300 s: stopped by SIGINT"


def test_the_watchdogs_word_does_not_prolong_the_record(story):
    dead = story.without(lambda e: e.at > 240)
    verdict = dead.plus(Event(260, "watchdog", "run.interrupted", "r", {"reason": "the runner died"})).verdict(
        "run_complete"
    )

    assert verdict.measures[0].value < 241
