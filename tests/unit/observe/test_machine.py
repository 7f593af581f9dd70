"""The machine's figures from the kernel's files."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.observe.machine import Machine, Reading, between, read
from harness.rundir import RunDir


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "stat").write_text("cpu  100 0 50 800 40 0 5 5 0 0\ncpu0 1 1 1 1 1 1 1 1\n")
    (tmp_path / "meminfo").write_text("MemTotal: 2048 kB\nMemAvailable:    1024 kB\n")
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure" / "cpu").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull total=0\n")
    return tmp_path


def test_the_kernels_files_are_read(proc):
    got = read(proc)
    assert (got.idle, got.steal, got.total, got.memory_available, got.waited) == (840, 5, 1000, 1048576, 2.5)


def test_a_kernel_without_pressure_figures_leaves_them_out(proc):
    (proc / "pressure" / "cpu").unlink()
    got = read(proc)
    later = Reading(got.at + 1, got.idle + 50, got.steal, got.total + 100, 1, None)
    assert "machine.cpu_pressure" not in between(got, later)
    assert between(got, later)["machine.cpu_busy"] == 0.5


def test_stolen_time_counts_as_busy_and_is_told_apart():
    got = between(Reading(0, 0, 0, 0, 1, 0.0), Reading(2, 100, 60, 200, 1, 0.5))
    assert got["machine.cpu_busy"] == 0.5
    assert got["machine.cpu_steal"] == 0.3
    assert got["machine.cpu_pressure"] == 0.25


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0.01, 10), st.floats(0, 20))
def test_shares_lie_between_none_and_all(idle, busy, seconds, waited):
    got = between(Reading(0, 0, 0, 0, 1, 0.0), Reading(seconds, idle, 0, idle + busy, 1, waited))
    assert all(0 <= got[key] <= 1 for key in ("machine.cpu_busy", "machine.cpu_pressure") if key in got)


def test_the_first_look_only_begins_a_span(proc, tmp_path_factory):
    folder = RunDir(tmp_path_factory.mktemp("run"))
    machine = Machine(proc)
    machine.open(folder)
    machine.poll()
    assert len(machine._writer) == 0
    (proc / "stat").write_text("cpu  150 0 50 850 40 0 5 5 0 0\n")
    machine.poll()
    machine.close()
    rows = {row["metric"]: row["value"] for row in pq.read_table(folder.series).to_pylist()}
    assert rows["machine.cpu_busy"] == 0.5
