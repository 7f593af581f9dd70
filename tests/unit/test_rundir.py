"""The run folder keeps what was written, whatever happens to the writer."""

import json
import threading

import pyarrow.parquet as pq
import pytest

from harness.rundir import RunDir, read_lines


@pytest.fixture
def folder(tmp_path):
    run = RunDir(tmp_path / "run")
    run.make()
    return run


def test_events_of_many_threads_are_whole_lines(folder):
    def write(name):
        for number in range(200):
            folder.append_event("test", "thing.changed", name, {"number": number, "pad": "x" * 300})

    threads = [threading.Thread(target=write, args=(f"t{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = read_lines(folder.events)
    assert len(lines) == 800
    assert {line["subject"] for line in lines} == {"t0", "t1", "t2", "t3"}


def test_a_last_line_cut_short_is_left_out_and_the_rest_is_read(folder):
    folder.append_event("test", "thing.changed", "whole")
    with folder.events.open("ab") as file:
        file.write(b'{"at": 1.0, "kind": "thi')

    assert [line["subject"] for line in read_lines(folder.events)] == ["whole"]


def test_a_damaged_line_in_the_middle_is_an_error_not_a_gap(folder):
    folder.events.write_bytes(b'{"torn\n{"at": 1}\n')

    with pytest.raises(json.JSONDecodeError):
        read_lines(folder.events)


def test_series_parts_do_not_overwrite_each_other(folder):
    first = folder.series_writer("test")
    first.add("up", {"b": "2", "a": "1"}, 10.0, 1.0)
    first.flush()
    second = folder.series_writer("test")
    second.add("up", {"a": "1", "b": "2"}, 11.0, 0.0)
    second.flush()

    parts = sorted(folder.series.glob("*.parquet"))
    assert len(parts) == 2
    rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
    assert [row["labels"] for row in rows] == ['{"a":"1","b":"2"}'] * 2
    assert [row["value"] for row in rows] == [1.0, 0.0]


def test_flushing_nothing_writes_nothing(folder):
    assert folder.series_writer("test").flush() is None
    assert not list(folder.series.iterdir())


def test_json_is_written_whole_with_sorted_keys(folder):
    folder.write_json(folder.plan, {"b": 1, "a": 2})

    assert list(json.loads(folder.plan.read_text())) == ["a", "b"]
    assert not list(folder.path.glob("*.unfinished"))


def test_a_run_folder_is_never_used_twice(folder):
    with pytest.raises(FileExistsError):
        folder.make()
