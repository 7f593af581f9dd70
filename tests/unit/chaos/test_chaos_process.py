"""What a Chaos Toolkit journal does not say by its status: each way in which an experiment can do nothing and look fine."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.chaos import lease
from harness.chaos.chaos_process import ChaosProcess, failures
from harness.model.errors import HarnessError
from harness.model.plan import Experiment, Load, Plan
from harness.rundir import RunDir

MET = {"steady_state_met": True, "probes": []}


def activity(status: str = "succeeded", **more):
    return {"activity": {"name": "kill pods"}, "status": status, "output": None, **more}


def journal(**more):
    good = {
        "status": "completed",
        "experiment": {"steady-state-hypothesis": {"title": "t"}, "rollbacks": [{}]},
        "steady_states": {"before": MET, "after": MET},
        "run": [activity()],
        "rollbacks": [activity()],
    }
    return {**good, **more}


def test_a_journal_in_which_all_was_done_has_no_failure() -> None:
    assert list(failures(journal())) == []


def test_an_experiment_without_hypothesis_and_rollbacks_can_be_whole() -> None:
    assert list(failures(journal(experiment={}, steady_states={}, rollbacks=[]))) == []


UNMET = {
    "steady_state_met": False,
    "probes": [{"activity": {"name": "answers"}, "tolerance_met": False, "output": False}],
}
RAISED = ["Traceback\n", "chaoslib.exceptions.ActivityFailed: TargetError: no pod\n  hint: look\n"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "interrupted"}, "ended with status interrupted"),
        ({"run": [activity("failed", exception=RAISED)]}, "activity 'kill pods' failed: TargetError: no pod"),
        (
            {"rollbacks": [activity("failed", exception=["ValueError: x"])]},
            "rollback 'kill pods' failed: ValueError: x",
        ),
        ({"rollbacks": []}, "the rollbacks were not played"),
        ({"run": []}, "the method was not run"),
        (
            {"steady_states": {"before": UNMET, "after": MET}},
            "steady state not met before the method: answers: gave False",
        ),
        ({"steady_states": {"before": MET, "after": None}}, "not looked at after the method"),
    ],
)
def test_what_went_wrong_is_said_whatever_the_status(change, said: str) -> None:
    (line,) = failures(journal(**change))

    assert said in line


def process_in(tmp_path: Path) -> ChaosProcess:
    plan = Plan("p", "P", 1, Load("x.py", ()), (), (), ())
    return ChaosProcess(Experiment("e", "e.yaml", "s", 0), plan, tmp_path / "t.yaml", RunDir(tmp_path))


def test_no_journal_is_a_failure(tmp_path: Path) -> None:
    result = process_in(tmp_path).result()

    assert not result.ok
    assert result.status == "no journal"
    assert "left no journal" in result.failed[0]


def test_no_fault_is_started_once_the_watchdog_has_taken_over(tmp_path: Path) -> None:
    lease.take(RunDir(tmp_path), "the runner died")

    with pytest.raises(HarnessError, match="taken over"):
        process_in(tmp_path).start()


def test_rollbacks_are_always_played_and_the_users_settings_are_kept_out(tmp_path: Path) -> None:
    argv = process_in(tmp_path).command()

    assert argv[argv.index("--rollback-strategy") + 1] == "always"
    assert Path(argv[argv.index("--settings") + 1]).is_relative_to(tmp_path)
