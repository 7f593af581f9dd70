"""The command line: exit codes by kind of end, and no import that would take the process over."""

import subprocess
import sys

import pytest

from harness import cli
from harness.exitcodes import ExitCode
from harness.model.errors import HarnessError, PlanError
from harness.run import Interrupted


def test_the_runner_imports_neither_locust_nor_chaos_toolkit():
    asked = "import sys, harness.cli; print([m for m in ('locust', 'gevent', 'chaoslib') if m in sys.modules])"

    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PlanError("bad", file="p.yaml", line=3, field="load"), ExitCode.BAD_PLAN),
        (HarnessError("broke"), ExitCode.HARNESS_BROKE),
        (RuntimeError("unforeseen"), ExitCode.HARNESS_BROKE),
        (Interrupted("stopped by SIGTERM"), ExitCode.INTERRUPTED),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error, code, capsys):
    def raises():
        raise error

    assert cli._guarded(raises) == code
    assert capsys.readouterr().err


def test_a_wrong_option_is_bad_usage(capsys):
    assert cli._guarded(lambda: cli.app(["run", "--nonsense"], standalone_mode=False)) == ExitCode.BAD_PLAN
    assert "nonsense" in capsys.readouterr().err


def test_a_plan_that_is_not_there_is_refused_with_its_name(capsys):
    code = cli._guarded(lambda: cli.app(["plan", "gamedays/nothing.yaml"], standalone_mode=False))

    assert code == ExitCode.BAD_PLAN
    assert "gamedays/nothing.yaml" in capsys.readouterr().err
