"""Who follows a daemon reads whole lines of that daemon, and nothing of an earlier one."""

import json
import os

from lab.journal import PROGRESS, STATUS, Journal, read_progress, write_status


def test_lines_are_read_back_in_order(tmp_path):
    journal = Journal(tmp_path)
    journal.write("lab.started", "a b")
    journal.write("component.ready", component="a", seconds=1.23456)

    lines = read_progress(tmp_path, os.getpid())

    assert [line["kind"] for line in lines] == ["lab.started", "component.ready"]
    assert (lines[1]["component"], lines[1]["seconds"]) == ("a", 1.235)


def test_a_new_daemon_begins_anew(tmp_path):
    Journal(tmp_path).write("lab.failed")

    Journal(tmp_path)

    assert read_progress(tmp_path, os.getpid()) == []


def test_lines_of_another_daemon_are_not_read(tmp_path):
    Journal(tmp_path).write("lab.ready")

    assert read_progress(tmp_path, os.getpid() + 1) == []


def test_a_line_that_is_still_being_written_waits(tmp_path):
    Journal(tmp_path).write("lab.started")
    with (tmp_path / PROGRESS).open("a") as progress:
        progress.write('{"kind": "lab.re')

    assert [line["kind"] for line in read_progress(tmp_path, os.getpid())] == ["lab.started"]


def test_the_status_is_replaced_as_a_whole(tmp_path):
    write_status(tmp_path, {"state": "starting"})
    write_status(tmp_path, {"state": "running"})

    assert json.loads((tmp_path / STATUS).read_text()) == {"state": "running"}
    assert [path.name for path in tmp_path.iterdir()] == [STATUS]
