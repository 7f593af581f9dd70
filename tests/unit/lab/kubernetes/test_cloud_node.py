"""Which Node objects the cloud's node lifecycle controller deletes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from lab.kubernetes.cloud_node import CloudNodeLifecycle


def node(name: str, ready: str, provider: str | None = None) -> Any:
    condition = SimpleNamespace(type="Ready", status=ready)
    return SimpleNamespace(
        metadata=SimpleNamespace(name=name),
        spec=SimpleNamespace(provider_id=f"aws:///us-east-1a/{name}" if provider is None else provider),
        status=SimpleNamespace(conditions=[condition]),
    )


class Cluster:
    def __init__(self, *nodes: Any) -> None:
        self.nodes = nodes
        self.deleted: list[str] = []

    def list_node(self) -> Any:
        return SimpleNamespace(items=list(self.nodes))

    def delete_node(self, name: str) -> None:
        self.deleted.append(name)


class Ec2:
    def __init__(self, **states: str) -> None:
        self.states = {name.replace("_", "-"): state for name, state in states.items()}
        self.asked = 0

    def get_paginator(self, operation: str) -> Ec2:
        assert operation == "describe_instances"
        return self

    def paginate(self, Filters: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: N803  boto3's name
        self.asked += 1
        wanted = Filters[0]["Values"]
        found = [{"InstanceId": name, "State": {"Name": s}} for name, s in self.states.items() if name in wanted]
        return [{"Reservations": [{"Instances": [each]} for each in found]}]


def deleted(cluster: Cluster, ec2: Ec2) -> list[str]:
    assert CloudNodeLifecycle(cluster, ec2).step() == cluster.deleted
    return cluster.deleted


def test_a_silent_node_whose_instance_is_terminated_is_deleted() -> None:
    assert deleted(Cluster(node("i-1", "Unknown")), Ec2(i_1="terminated")) == ["i-1"]


def test_a_silent_node_whose_instance_was_never_heard_of_is_deleted() -> None:
    assert deleted(Cluster(node("i-1", "Unknown")), Ec2()) == ["i-1"]


def test_a_silent_node_whose_instance_runs_stays_as_in_a_cut_zone() -> None:
    assert deleted(Cluster(node("i-1", "Unknown")), Ec2(i_1="running")) == []


def test_a_stopped_instance_keeps_its_node() -> None:
    assert deleted(Cluster(node("i-1", "False")), Ec2(i_1="stopped")) == []


def test_a_ready_node_is_not_even_asked_about() -> None:
    ec2 = Ec2()
    assert deleted(Cluster(node("i-1", "True")), ec2) == []
    assert ec2.asked == 0


def test_a_node_of_no_cloud_is_left_alone() -> None:
    assert deleted(Cluster(node("mine", "Unknown", provider="")), Ec2()) == []
