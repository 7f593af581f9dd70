"""Progress off a terminal: a line for each new step, none when quiet."""

import io

from rich.console import Console

from harness.terminal import Progress


def lines_of(quiet, *steps):
    out = io.StringIO()
    with Progress(Console(file=out), quiet=quiet, title="first") as progress:
        for step in steps:
            progress.say(step)
    return out.getvalue().splitlines()


def test_each_new_step_is_a_line_and_a_repeated_one_is_not():
    lines = lines_of(False, "settling", "settling", "load")

    assert [line.rpartition(" (")[0] for line in lines[1:]] == ["first: settling", "first: load"]


def test_a_long_step_stays_on_one_line_for_machines_to_read():
    assert len(lines_of(False, "x" * 300)) == 2


def test_quiet_says_nothing():
    assert lines_of(True, "settling") == []
