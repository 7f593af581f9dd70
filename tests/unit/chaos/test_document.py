"""The document that runs: the plan's values over the document's, the environment resolved, nothing unknown let by."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.chaos.document import configured, substituted
from harness.model.errors import PlanError
from harness.model.plan import Experiment, Load, Plan

ROOT = Path(__file__).parents[3]
PLAN = Plan("p", "P", 1, Load("x.py", ()), (), (), (), file="p.yaml")
DOCUMENT = """
title: t
description: d
configuration:
  zone: {type: env, key: GAMEDAY_TRY_ZONE, default: a}
  count: {type: env, key: GAMEDAY_TRY_COUNT, default: "2", env_var_type: int}
  plain: 1.5
method: []
"""


def experiment(tmp_path: Path, text: str = DOCUMENT, **configuration) -> Experiment:
    (tmp_path / "e.yaml").write_text(text)
    return Experiment("e", str(tmp_path / "e.yaml"), "s", 0, configuration)


def test_defaults_stand_where_the_plan_says_nothing(tmp_path: Path) -> None:
    assert configured(experiment(tmp_path), PLAN)["configuration"] == {"zone": "a", "count": 2, "plain": 1.5}


def test_the_plan_wins_over_the_environment_and_that_over_the_default(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GAMEDAY_TRY_ZONE", "b")
    monkeypatch.setenv("GAMEDAY_TRY_COUNT", "3")
    made = configured(experiment(tmp_path, zone="c"), PLAN)["configuration"]

    assert made == {"zone": "c", "count": 3, "plain": 1.5}


def test_a_value_that_the_document_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no configuration 'zoen'") as refused:
        configured(experiment(tmp_path, zoen="c"), PLAN)
    assert refused.value.field == "experiments.e.configuration.zoen"
    assert "zone" in refused.value.hint


def test_an_environment_value_of_the_wrong_type_is_refused_with_its_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GAMEDAY_TRY_COUNT", "many")
    with pytest.raises(PlanError, match="'many', which is no int") as refused:
        configured(experiment(tmp_path), PLAN)
    assert refused.value.line == 6


def test_a_variable_that_is_not_set_and_has_no_default_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("GAMEDAY_TRY_NONE", raising=False)
    text = "configuration:\n  x: {type: env, key: GAMEDAY_TRY_NONE}\n"
    with pytest.raises(PlanError, match="GAMEDAY_TRY_NONE is not set"):
        configured(experiment(tmp_path, text), PLAN)
    assert configured(experiment(tmp_path, text, x=1), PLAN)["configuration"] == {"x": 1}


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.lists(st.integers())))
def test_a_lone_pattern_keeps_its_type(value) -> None:
    assert substituted({"a": ["${x}"]}, {"x": value}) == {"a": [value]}


def test_a_pattern_within_text_becomes_text_and_an_unknown_one_stays() -> None:
    assert substituted("in ${zone} for ${n} s, ${other}", {"zone": "a", "n": 5}) == "in a for 5 s, ${other}"


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_of_the_project_can_be_configured(path: Path) -> None:
    document = configured(Experiment("e", str(path), "s", 0), PLAN)

    assert document["method"]
    assert "${" not in str(substituted(document["method"], document["configuration"]))
