"""What is added is also named: a file that no table knows would never run."""

import inspect
from pathlib import Path

import pytest

import harness.judge
from harness.judge.judge import VERIFIERS
from harness.model.claims import CLAIMS, Bounds
from harness.planfile.references import references

JUDGE = Path(harness.judge.__file__).parent
# Files of the judge that hold no verifier, and what they are for.
NO_VERIFIER = {
    "__init__": "the package",
    "judge": "the table itself",
    "verifier": "what a verifier is",
    "record": "how far the record reaches",
    "histories": "states over time",
    "traffic": "requests as columns",
}


def test_every_file_of_the_judge_holds_a_verifier_of_the_table():
    named = {Path(inspect.getfile(kind)).stem for kind in VERIFIERS.values()}

    assert {path.stem for path in JUDGE.glob("*.py")} == named | NO_VERIFIER.keys()


@pytest.mark.parametrize("name", VERIFIERS)
def test_every_verifier_says_what_it_needs_and_what_it_means(name):
    kind = VERIFIERS[name]

    assert kind.claim == name
    assert isinstance(kind.needs, tuple)
    assert set(kind.rests_on) <= {"load", "machine"}
    assert kind.__doc__


@pytest.mark.parametrize("name", CLAIMS)
def test_what_a_claim_refers_to_is_a_kind_of_thing_that_plans_have(name):
    assert set(references(name).values()) <= {"stage", "experiment"}
    assert Bounds().refers == ""
