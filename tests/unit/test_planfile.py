"""Plans: read exactly, refused precisely."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.exitcodes import ExitCode
from harness.model.errors import PlanError
from harness.model.plan import Expectation, Experiment, Load, Objective, Plan, Stage
from harness.planfile import dump_plan, load_plan, parse_plan
from harness.planfile.schema import seconds

ROOT = Path(__file__).parents[2]
PROFILE = "from locust import FastHttpUser\n\n\nclass Shopper(FastHttpUser):\n    pass\n"
EXPERIMENT = """\
title: Pods are killed
description: Some pods die.
method:
  - type: action
    name: kill
    provider:
      type: python
      module: harness.chaos.actions.pods
      func: kill_pods
      arguments: {selector: app=front, namespace: shop, count: 1}
"""
PLAN = """\
name: small
title: Does it hold?
seed: 7
load:
  profile: profile.py
  stages:
    - {name: calm, seconds: 30, users: 5}
    - {name: faults, seconds: 1m30s, users: 5}
experiments:
  - {name: kill, file: kill.yaml, stage: faults, after: 5}
objectives:
  - {name: fast, sli: latency, threshold: 0.5, objective: 0.95, phases: [calm, faults]}
expectations:
  - hpa_scales_out: {hpa: shop/front, stage: faults, replicas: 5, within: 1m}
  - pods_replaced: {fault: kill, within: 60}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "profile.py").write_text(PROFILE)
    (tmp_path / "kill.yaml").write_text(EXPERIMENT)
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path


def refused(folder):
    with pytest.raises(PlanError) as caught:
        load_plan(folder / "plan.yaml")
    return caught.value


def test_a_good_plan_is_read_whole(folder):
    plan = load_plan(folder / "plan.yaml")

    assert plan.load.stages[1] == Stage("faults", 90.0, 5, 10.0)
    assert plan.experiments[0].file == str(folder / "kill.yaml")
    assert plan.objectives[0].phases == ("calm", "faults")
    assert plan.expectations[0] == Expectation(
        "hpa_scales_out", {"hpa": "shop/front", "stage": "faults", "replicas": 5, "within": 60.0}
    )


def test_the_first_gameday_is_a_good_plan():
    plan = load_plan(ROOT / "gamedays" / "first.yaml")

    assert [stage.name for stage in plan.load.stages] == ["baseline", "spike", "faults", "recovery"]
    assert {experiment.name for experiment in plan.experiments} == {"kill-pods", "az-outage"}


def test_every_gameday_of_the_project_is_a_good_plan():
    plans = sorted((ROOT / "gamedays").glob("*.yaml"))

    assert plans
    assert [load_plan(path).name for path in plans]


# What is replaced in the plan, by what, and what the refusal must name: line, field, sentence, hint.
MALFORMED = {
    "a word for a number": ("users: 5}\n    - ", "users: many}\n    - ", 7, "load.stages[0].users", "integer", ""),
    "no users": ("users: 5}\n    - ", "users: 0}\n    - ", 7, "load.stages[0].users", "greater than or equal to 1", ""),
    "a field that nobody reads": ("seed: 7", "sead: 7", 3, "sead", "unknown field 'sead'", "'seed'"),
    "a field missing": ("threshold: 0.5, ", "", 12, "objectives[0]", "needs `threshold`", ""),
    "a stage twice": (
        "name: faults, seconds",
        "name: calm, seconds",
        8,
        "load.stages[1].name",
        "'calm' stands 2 times",
        "",
    ),
    "an unknown phase": (
        "[calm, faults]",
        "[calm, fualts]",
        12,
        "objectives[0].phases[1]",
        "no stage 'fualts'",
        "'faults'",
    ),
    "an unknown verifier": (
        "hpa_scales_out",
        "hpa_scale_out",
        14,
        "expectations[0].hpa_scale_out",
        "unknown",
        "'hpa_scales_out'",
    ),
    "an unknown parameter": (
        "within: 60}",
        "witin: 60}",
        15,
        "expectations[1].pods_replaced.witin",
        "unknown",
        "'within'",
    ),
    "an unknown fault": (
        "fault: kill,",
        "fault: kil,",
        15,
        "expectations[1].pods_replaced.fault",
        "no experiment 'kil'",
        "'kill'",
    ),
    "a fault after its stage": (
        "after: 5",
        "after: 95",
        10,
        "experiments[0].after",
        "past the end of stage 'faults'",
        "",
    ),
    "a duration of nothing": ("seconds: 30", "seconds: 0", 7, "load.stages[0].seconds", "greater than 0", ""),
    "a duration of no unit": ("1m30s", "90 sec", 8, "load.stages[1].seconds", "90s, 2m or 1m30s", ""),
    "too long in all": ("1m30s", "7190", 6, "load.stages", "7220 s in all", "2 h"),
    "an objective above one": (
        "objective: 0.95",
        "objective: 95",
        12,
        "objectives[0].objective",
        "less than or equal to 1",
        "",
    ),
    "a key twice": ("seed: 7", "seed: 7\nseed: 8", 4, "", "duplicate key", "only once"),
    "not YAML": ("[calm, faults]", "[calm, faults", 12, "", "not YAML", "quotes"),
    "a missing profile": ("profile.py", "profil.py", 5, "load.profile", "no file profil.py", "looked in"),
    "a missing experiment": ("kill.yaml", "kil.yaml", 10, "experiments[0].file", "no file kil.yaml", "looked in"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_plan_is_refused_with_file_line_field_and_hint(folder, case):
    old, new, line, field, said, hint = MALFORMED[case]
    assert old in PLAN
    (folder / "plan.yaml").write_text(PLAN.replace(old, new, 1))
    error = refused(folder)

    text = str(error)
    assert error.file == str(folder / "plan.yaml")
    assert f"plan.yaml:{line}" in text
    assert field in text
    assert said in text
    assert error.hint
    assert hint in text
    assert ExitCode.BAD_PLAN == 3


def test_all_faults_of_a_plan_are_told_at_once(folder):
    broken = PLAN.replace("fault: kill,", "fault: kil,").replace("after: 5", "after: 95").replace("profile.py", "no.py")
    (folder / "plan.yaml").write_text(broken)
    text = str(refused(folder))

    assert re.findall(r"plan\.yaml:(\d+)", text) == ["5", "10", "15"]


def test_a_plan_that_is_not_there_names_those_that_are(folder):
    with pytest.raises(PlanError) as caught:
        load_plan(folder / "pln.yaml")

    assert "there is no such file" in str(caught.value)
    assert "plan.yaml" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("def broken(:\n", 1, "not Python"),
        ("x = 1\n", 1, "defines no Locust user"),
        (PROFILE.replace("    pass", "    abstract = True"), 1, "defines no Locust user"),
    ],
)
def test_a_profile_without_users_is_refused(folder, text, line, said):
    (folder / "profile.py").write_text(text)
    error = refused(folder)

    assert error.file == str(folder / "profile.py")
    assert error.line == line
    assert said in error.message


def test_a_user_class_may_derive_from_another_one_of_the_profile(folder):
    derived = PROFILE.replace("    pass", "    abstract = True") + "\n\nclass Buyer(Shopper):\n    pass\n"
    (folder / "profile.py").write_text(derived)

    assert load_plan(folder / "plan.yaml").name == "small"


EXPERIMENTS = {
    "no title": ("title: Pods are killed\n", "", None, "title", "a text is expected"),
    "no method": ("method:", "methods:", None, "method", "at least one action"),
    "no such module": ("actions.pods", "actions.pod", 8, "method[0].provider.module", "did you mean 'pods'"),
    "no such function": ("kill_pods", "kill_pod", 9, "method[0].provider.func", "did you mean 'kill_pods'"),
    "no such argument": ("count: 1", "cuont: 1", 10, "method[0].provider.arguments.cuont", "did you mean 'count'"),
    "an argument missing": (
        "selector: app=front, ",
        "",
        10,
        "method[0].provider.arguments",
        "needs the argument 'selector'",
    ),
    "no such type": ("type: action", "type: deed", None, "method", "at least one action"),
    "a module with spaces": (
        "harness.chaos.actions.pods",
        "some thing",
        8,
        "method[0].provider.module",
        "a dotted module name",
    ),
}


@pytest.mark.parametrize("case", EXPERIMENTS)
def test_a_malformed_experiment_is_refused_with_its_own_file_and_field(folder, case):
    old, new, line, field, said = EXPERIMENTS[case]
    assert old in EXPERIMENT
    (folder / "kill.yaml").write_text(EXPERIMENT.replace(old, new, 1))
    error = refused(folder)

    assert error.file == str(folder / "kill.yaml")
    assert field in str(error)
    assert said in str(error)
    if line is not None:
        assert error.line == line


def test_an_experiment_may_be_json(folder):
    document = {
        "title": "t",
        "description": "d",
        "method": [{"type": "action", "name": "x", "provider": {"type": "process", "path": "/bin/true"}}],
    }
    (folder / "kill.yaml").write_text(json.dumps(document))

    assert load_plan(folder / "plan.yaml").experiments[0].name == "kill"


names = st.text("abcdefgh-", min_size=1, max_size=8)
numbers = st.floats(0.001, 7000, allow_nan=False)
stages = st.builds(Stage, names, numbers, st.integers(1, 1000), numbers)
plans = st.builds(
    Plan,
    names,
    st.text(max_size=20),
    st.integers(0, 2**63 - 1),
    st.builds(Load, names, st.lists(stages, max_size=4).map(tuple)),
    st.lists(
        st.builds(Experiment, names, names, names, numbers, st.dictionaries(names, st.integers())), max_size=3
    ).map(tuple),
    st.lists(
        st.builds(
            Objective, names, st.just("latency"), numbers, st.lists(names, max_size=3).map(tuple), st.none() | numbers
        ),
        max_size=3,
    ).map(tuple),
    st.lists(st.builds(Expectation, names, st.dictionaries(names, numbers)), max_size=3).map(tuple),
    names,
)


@given(plans)
def test_a_plan_survives_the_record_exactly(plan):
    assert parse_plan(json.loads(json.dumps(dump_plan(plan)))) == plan


@given(st.integers(0, 9), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours, minutes, rest):
    assert seconds(f"{hours}h{minutes}m{rest}s") == hours * 3600 + minutes * 60 + rest
    assert seconds(rest) == rest
