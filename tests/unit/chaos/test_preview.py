"""A fault that would hit nothing is refused at the line that a person has to change."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.chaos import preview as previews
from harness.chaos.actions import pods
from harness.model.errors import PlanError, TargetError
from harness.planfile import load_plan
from harness.target.target import Kubernetes, Target

ROOT = Path(__file__).parents[3]
TARGET = Target("t", Path("target.yaml"), Kubernetes("kubeconfig", ("shop",)), ("http://127.0.0.1",))


@pytest.fixture
def refused(monkeypatch):
    """The error for the only experiment of a plan, on a target without a single pod."""

    def nothing(target, arguments):
        raise TargetError(f"selector {arguments['selector']!r} matches no ready pod", hint="look at the labels")

    monkeypatch.setattr(pods, "preview_kill_pods", nothing)

    def error(plan):
        with pytest.raises(PlanError) as caught:
            previews.preview(plan.experiments[0], plan, TARGET)
        return caught.value

    return error


def test_a_selector_of_the_plan_is_refused_in_the_plan(refused):
    plan = load_plan(ROOT / "tests/lab/plans/no-such-pods.yaml")
    error = refused(plan)

    assert (error.file, error.line, error.field) == (plan.file, 10, "experiments[0].configuration.selector")
    assert "selector 'app=frnot' matches no ready pod" in str(error)
    assert error.hint == "look at the labels"


def test_several_values_of_the_plan_are_refused_as_its_configuration(refused):
    plan = load_plan(ROOT / "tests/lab/plans/no-such-pods.yaml")
    both = replace(plan.experiments[0], configuration={"selector": "app=frnot", "count": 1})

    assert refused(replace(plan, experiments=(both,))).field == "experiments[0].configuration"


def test_a_selector_of_the_experiment_is_refused_in_the_experiment(refused):
    plan = load_plan(ROOT / "tests/lab/plans/no-such-pods.yaml")
    bare = replace(plan.experiments[0], configuration={})
    error = refused(replace(plan, experiments=(bare,)))
    written = (ROOT / "experiments/kill-pods.yaml").read_text().splitlines()

    assert error.file == "experiments/kill-pods.yaml"
    assert error.field == "method[0].provider.arguments"
    assert written[error.line - 1].lstrip().startswith("arguments: {selector:")
