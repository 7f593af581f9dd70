"""The state of a target that a run must leave as it found it, read through the same doors that faults go through."""

from __future__ import annotations

from typing import Any

import kubernetes.client

from harness.model.plan import Settle
from harness.target.clients import boto3_client, kubernetes_client
from harness.target.target import Target

State = dict[str, Any]
LEAVING = "ToBeDeletedByClusterAutoscaler"  # the taint that the Cluster Autoscaler sets before it ends an instance


def read_state(target: Target) -> State:
    """
    What can be compared before and after: network ACL of each tagged subnet, what is left of a run's own ACLs, nodes
    that are not Ready or cordoned, and deployments with less available than desired. Plain JSON.
    """
    api = kubernetes_client(target)
    nodes = kubernetes.client.CoreV1Api(api).list_node(_request_timeout=10).items
    state: State = {
        "nodes_not_ready": sorted(n.metadata.name for n in nodes if not _is_ready(n)),
        "nodes_cordoned": sorted(n.metadata.name for n in nodes if n.spec.unschedulable),
        "deployments_unavailable": _unavailable(target, api),
    }
    if target.aws is not None:
        state |= _network(target)
    return state


def differences(before: State, after: State) -> list[str]:
    """What differs, one readable line each; empty when the state is restored."""
    return [
        f"{key}: was {before.get(key)}, is {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _is_ready(node: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions or ())


def _unavailable(target: Target, api: kubernetes.client.ApiClient) -> list[str]:
    apps = kubernetes.client.AppsV1Api(api)
    return sorted(
        f"{namespace}/{item.metadata.name}"
        for namespace in target.kubernetes.namespaces
        for item in apps.list_namespaced_deployment(namespace, _request_timeout=10).items
        if (item.status.available_replicas or 0) < (item.spec.replicas or 0)
    )


def _network(target: Target) -> State:
    assert target.aws is not None  # noqa: S101 - the caller has seen to it; mypy has not
    client = boto3_client(target, "ec2")
    tags = [{"Name": f"tag:{key}", "Values": [value]} for key, value in target.aws.tags.items()]
    subnets = {s["SubnetId"] for s in client.describe_subnets(Filters=tags)["Subnets"]}
    acls = client.describe_network_acls()["NetworkAcls"]
    return {
        "network_acls": {
            association["SubnetId"]: association["NetworkAclId"]
            for acl in sorted(acls, key=lambda acl: acl["NetworkAclId"])
            for association in acl["Associations"]
            if association["SubnetId"] in subnets
        },
        "temporary_acls": sorted(
            acl["NetworkAclId"] for acl in acls if any(t["Key"] == "gameday-run" for t in acl.get("Tags", []))
        ),
    }


def unsettled(target: Target, settle: Settle) -> list[str]:
    """What a plan's `settle` still waits for, one readable line each."""
    state = read_state(target)
    waits = [f"{key.replace('_', ' ')}: {', '.join(v)}" for key, v in state.items() if key != "network_acls" and v]
    if settle.hpas_at_minimum:
        waits += _above_minimum_hpas(target)
    if settle.groups_at_minimum:
        waits += _leaving_nodes(target)
    if settle.groups_at_minimum and target.aws is not None:
        client = boto3_client(target, "autoscaling")
        names = list(target.aws.autoscaling_groups)
        waits += [
            f"group {group['AutoScalingGroupName']} has {len(group['Instances'])}, its minimum is {group['MinSize']}"
            for group in client.describe_auto_scaling_groups(AutoScalingGroupNames=names)["AutoScalingGroups"]
            if len(group["Instances"]) != group["MinSize"]
        ]
    return waits


def _leaving_nodes(target: Target) -> list[str]:
    """Nodes that the Cluster Autoscaler has given up: their group has forgotten them, Kubernetes has not yet."""
    nodes = kubernetes.client.CoreV1Api(kubernetes_client(target)).list_node(_request_timeout=10).items
    return [
        f"node {node.metadata.name} is on its way out"
        for node in nodes
        if any(taint.key == LEAVING for taint in node.spec.taints or ())
    ]


def _above_minimum_hpas(target: Target) -> list[str]:
    api = kubernetes.client.AutoscalingV2Api(kubernetes_client(target))
    return [
        f"HPA {namespace}/{hpa.metadata.name} has {hpa.status.current_replicas}, its minimum is {hpa.spec.min_replicas}"
        for namespace in target.kubernetes.namespaces
        for hpa in api.list_namespaced_horizontal_pod_autoscaler(namespace, _request_timeout=10).items
        if (hpa.status.current_replicas or 0) > (hpa.spec.min_replicas or 1)
    ]
