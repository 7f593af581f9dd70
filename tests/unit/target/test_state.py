"""What a run waits for before it begins, and how states are compared."""

from types import SimpleNamespace

import pytest

from harness.model.plan import Settle
from harness.target import state


def node(name, *, ready=True, taint=None):
    return SimpleNamespace(
        metadata=SimpleNamespace(name=name),
        spec=SimpleNamespace(unschedulable=False, taints=[SimpleNamespace(key=taint)] if taint else None),
        status=SimpleNamespace(conditions=[SimpleNamespace(type="Ready", status="True" if ready else "Unknown")]),
    )


@pytest.fixture
def cluster(monkeypatch):
    nodes = []
    monkeypatch.setattr(state, "kubernetes_client", lambda _: None)
    core = SimpleNamespace(list_node=lambda **_: SimpleNamespace(items=nodes))
    monkeypatch.setattr(state.kubernetes.client, "CoreV1Api", lambda _: core)
    return nodes


TARGET = SimpleNamespace(kubernetes=SimpleNamespace(namespaces=()), aws=None)


def test_a_node_that_the_cluster_autoscaler_gave_up_is_waited_for(cluster):
    cluster += [node("a"), node("b", taint="ToBeDeletedByClusterAutoscaler")]

    assert state.unsettled(TARGET, Settle(groups_at_minimum=True)) == ["node b is on its way out"]
    assert state.unsettled(TARGET, Settle()) == []


def test_a_node_that_is_not_ready_is_always_waited_for(cluster):
    cluster += [node("a", ready=False)]

    assert state.unsettled(TARGET, Settle()) == ["nodes not ready: a"]


def test_differences_name_what_was_and_what_is():
    before, after = (
        {"nodes_not_ready": [], "network_acls": {"s": "a"}},
        {"nodes_not_ready": ["n"], "network_acls": {"s": "a"}},
    )

    assert state.differences(before, after) == ["nodes_not_ready: was [], is ['n']"]
    assert state.differences(before, before) == []
