"""A collector always says whether it sees, and never raises."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from harness.observe import collectors
from harness.observe.collector import PollingCollector, Presence
from harness.rundir import RunDir, read_lines
from harness.target.target import Aws, Kubernetes, Target


def kinds(folder):
    return [event["kind"].removeprefix("observe.") for event in read_lines(folder.events)]


def test_a_source_with_parts_is_lost_while_any_part_is(tmp_path):
    presence = Presence("k", folder := RunDir(tmp_path))
    presence.seen("pods")
    presence.lost(OSError("cut"), "pods")
    presence.lost(OSError("cut"), "nodes")
    presence.seen("pods")
    assert kinds(folder) == ["started", "lost"]
    presence.seen("nodes")
    presence.seen("nodes")
    presence.stopped()
    assert kinds(folder) == ["started", "lost", "resumed", "stopped"]
    assert read_lines(folder.events)[1]["value"] == {"error": "pods: OSError: cut"}


def test_a_source_that_was_never_seen_is_lost_from_the_start(tmp_path):
    presence = Presence("k", folder := RunDir(tmp_path))
    presence.lost(ConnectionRefusedError())
    presence.seen()
    assert kinds(folder) == ["started", "lost", "resumed"]


class Source:
    """Fails at the looks in *bad*; after *looks* looks it tells the test."""

    def __init__(self, looks, bad=()):
        self.left, self.bad, self.count, self.enough, self.closed = looks, bad, 0, threading.Event(), False

    def open(self, folder):
        self.folder = folder

    def poll(self):
        self.count += 1
        if self.count >= self.left:
            self.enough.set()
        if self.count in self.bad:
            raise RuntimeError("not now")

    def close(self):
        self.closed = True


def watch(tmp_path, source):
    collector = PollingCollector("s", source, every=0.001)
    folder = RunDir(tmp_path)
    collector.start(folder)
    assert source.enough.wait(10)
    collector.stop()
    return kinds(folder)


def test_a_source_that_fails_for_a_while_is_lost_and_resumed(tmp_path):
    source = Source(4, bad=(2, 3))
    assert watch(tmp_path, source) == ["started", "lost", "resumed", "stopped"]
    assert source.closed


def test_a_source_that_cannot_be_opened_is_tried_again(tmp_path):
    source = Source(1)
    opened = source.open
    tries = []

    def reluctant(folder):
        tries.append(folder)
        if len(tries) < 3:
            raise ConnectionRefusedError("not yet")
        opened(folder)

    source.open = reluctant
    assert watch(tmp_path, source) == ["started", "lost", "resumed", "stopped"]


def target(**doors):
    return Target("t", Path("t.yaml"), Kubernetes("k", ("shop",)), ("http://127.0.0.1:1",), **doors)


@pytest.mark.parametrize(
    ("doors", "names"),
    [
        ({}, ["machine", "kubernetes"]),
        ({"prometheus": "http://127.0.0.1:1"}, ["machine", "kubernetes", "prometheus"]),
        ({"aws": Aws("us-east-1", {"a": "b"}, autoscaling_groups=("w",))}, ["machine", "kubernetes", "autoscaling"]),
        ({"aws": Aws("us-east-1", {"a": "b"})}, ["machine", "kubernetes"]),
    ],
)
def test_a_target_gets_a_collector_for_each_door_it_has(doors, names):
    assert [collector.name for collector in collectors.for_target(target(**doors))] == names


def test_every_collector_file_is_in_the_table():
    shared = {"__init__", "collector", "collectors", "pod_logs", "views", "watch"}  # what collects nothing itself
    files = {path.stem for path in Path(collectors.__file__).parent.glob("*.py")}
    assert files - shared == set(collectors.COLLECTORS)


def test_a_kubernetes_whose_client_cannot_be_made_is_lost_and_nothing_raises(tmp_path):
    made = collectors.COLLECTORS["kubernetes"](target())
    folder = RunDir(tmp_path)
    made.start(folder)
    made.stop()
    assert kinds(folder) == ["started", "lost", "stopped"]
