"""Choosing pods: seeded, without replacement, in bounds, never none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Thing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import ApiException

from harness.chaos.actions import pods as actions
from harness.chaos.actions.pods import Pod, choose, kill_pods, ready_pods, wanted
from harness.chaos.session import Session
from harness.model.errors import TargetError
from harness.rundir import RunDir, read_lines

TARGET = Thing(kubernetes=Thing(namespaces=("shop",)))


def pods_named(names) -> list[Pod]:
    return [Pod(name, "shop", f"uid-{name}", "n", "z") for name in names]


NAMES = st.lists(st.text("abcdef", min_size=1, max_size=6), min_size=1, max_size=12, unique=True)


@given(NAMES, st.data())
def test_the_choice_is_of_different_pods_and_of_the_size_asked_for(names, data) -> None:
    number = data.draw(st.integers(1, len(names)))
    chosen = choose(pods_named(names), number, "7/kill-pods")

    assert len({pod.uid for pod in chosen}) == number
    assert {pod.name for pod in chosen} <= set(names)


@given(NAMES, st.data())
def test_the_same_seed_chooses_the_same_pods_in_whatever_order_they_come(names, data) -> None:
    pods = pods_named(names)
    shuffled = data.draw(st.permutations(pods))

    assert choose(pods, 1, "7/e") == choose(shuffled, 1, "7/e")


def test_another_seed_chooses_others() -> None:
    pods = pods_named("abcdefghij")

    assert len({choose(pods, 1, f"{seed}/e")[0].name for seed in range(50)}) > 5


@given(st.integers(1, 1000), st.integers(1, 100))
def test_a_percentage_is_rounded_up_and_is_never_none(ready: int, percentage: int) -> None:
    number = wanted(ready, None, percentage)

    assert 1 <= number <= ready
    assert number == -(-ready * percentage // 100)


@pytest.mark.parametrize(
    ("count", "percentage", "said"),
    [
        (None, None, "either count or percentage"),
        (1, 10, "either count or percentage"),
        (0, None, "nothing would be hit"),
        (-1, None, "nothing would be hit"),
        (4, None, "only 3 are ready"),
        (None, 0, "must be above 0"),
        (None, 101, "must be above 0"),
        (None, float("nan"), "must be above 0"),
    ],
)
def test_a_wrong_amount_is_refused(count, percentage, said: str) -> None:
    with pytest.raises(TargetError, match=said):
        wanted(3, count, percentage)


def pod(name: str, *, ready: str = "True", deleted: str | None = None):
    return Thing(
        metadata=Thing(name=name, uid=f"uid-{name}", deletion_timestamp=deleted),
        spec=Thing(node_name="n1"),
        status=Thing(conditions=[Thing(type="Ready", status=ready)]),
    )


class Core:
    """A Kubernetes API with these pods; it refuses to delete *refuses*, and *holds* on to others."""

    def __init__(self, *pods, refuses=(), holds=()) -> None:
        self.pods = list(pods)
        self.refuses = refuses
        self.holds = holds

    def delete_namespaced_pod(self, name, namespace, body, **_):
        if name in self.refuses:
            raise ApiException(status=409, reason="Conflict")
        self.pods = [p for p in self.pods if p.metadata.uid != body.preconditions.uid or name in self.holds]

    def list_node(self, **_):
        labels = {"topology.kubernetes.io/zone": "us-east-1a"}
        return Thing(items=[Thing(metadata=Thing(name="n1", labels=labels))])

    def list_namespaced_pod(self, namespace, **_):
        return Thing(items=self.pods)


def test_only_ready_pods_that_are_not_going_already_are_targets() -> None:
    core = Core(pod("b"), pod("a"), pod("c", ready="False"), pod("d", deleted="now"))

    assert [str(each) for each in ready_pods(core, TARGET, "app=front", "shop")] == ["shop/a", "shop/b"]
    assert ready_pods(core, TARGET, "app=front", "shop")[0].zone == "us-east-1a"


@pytest.mark.parametrize(
    ("selector", "namespace", "said"),
    [
        ("app=nobody", "shop", "matches no ready pod"),
        ("app=front", "kube-system", "out of bounds"),
        (" ", "shop", "empty selector"),
    ],
)
def test_an_empty_or_forbidden_target_is_refused(selector: str, namespace: str, said: str) -> None:
    with pytest.raises(TargetError, match=said):
        ready_pods(Core(pod("c", ready="False")), TARGET, selector, namespace)


def with_core(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, core: Core) -> RunDir:
    run = RunDir(tmp_path)
    session = Session(run, TARGET, "kill-pods", 7)
    monkeypatch.setattr(actions.Session, "current", classmethod(lambda _: session))
    monkeypatch.setattr(actions, "kubernetes_client", lambda _: None)
    monkeypatch.setattr(actions.kubernetes.client, "CoreV1Api", lambda _: core)
    monkeypatch.setattr(actions, "GONE_WITHIN", 0)
    return run


def test_what_was_killed_is_gone_and_recorded(monkeypatch, tmp_path: Path) -> None:
    core = Core(pod("a"), pod("b"), pod("c"))
    run = with_core(monkeypatch, tmp_path, core)
    kill_pods("app=front", "shop", count=2)
    (event,) = read_lines(run.events)

    assert event["kind"] == "fault.injected"
    assert len(event["value"]["targets"]) == 2
    assert {p.metadata.name for p in core.pods}.isdisjoint(p["name"] for p in event["value"]["details"]["pods"])
    assert len(core.pods) == 1


def test_harm_done_in_part_is_recorded_and_fails(monkeypatch, tmp_path: Path) -> None:
    run = with_core(monkeypatch, tmp_path, Core(pod("a"), pod("b"), pod("c"), refuses=("a",), holds=("b",)))
    with pytest.raises(TargetError, match="1 of 3 pods were killed") as failed:
        kill_pods("app=front", "shop", percentage=100)
    (event,) = read_lines(run.events)

    assert "shop/a was not deleted: 409 Conflict" in str(failed.value)
    assert "shop/b is still there" in str(failed.value)
    assert event["value"]["targets"] == ["shop/c"]


def test_no_harm_is_no_event(monkeypatch, tmp_path: Path) -> None:
    run = with_core(monkeypatch, tmp_path, Core(pod("a"), refuses=("a",)))
    with pytest.raises(TargetError, match="0 of 1"):
        kill_pods("app=front", "shop", count=1)

    assert read_lines(run.events) == []
