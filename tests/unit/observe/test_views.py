"""What the record keeps of Kubernetes documents."""

from __future__ import annotations

import pytest

from harness.observe import views


def pod(**changes):
    document = {
        "metadata": {
            "name": "front-1",
            "namespace": "shop",
            "uid": "u1",
            "labels": {"app": "front"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"kind": "ReplicaSet", "name": "front-abc", "controller": True}],
        },
        "spec": {"nodeName": "n1"},
        "status": {
            "phase": "Running",
            "podIP": "198.18.17.2",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:09Z"},
            ],
        },
    }
    return {**document, **changes}


def test_a_running_pod_is_told_with_its_nodes_zone():
    assert views.pod(pod(), {"n1": "us-east-1a"}) == {
        "uid": "u1",
        "node": "n1",
        "zone": "us-east-1a",
        "phase": "Running",
        "ready": True,
        "scheduled": True,
        "unschedulable": "",
        "owner": "ReplicaSet/front-abc",
        "app": "front",
        "ip": "198.18.17.2",
        "deleting": False,
    }
    assert views.stamp(pod()) == views.seconds("2026-01-01T00:00:09Z")


def test_an_unschedulable_pod_tells_the_schedulers_reason():
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes: Insufficient cpu",
    }
    got = views.pod(pod(spec={}, status={"phase": "Pending", "conditions": [condition]}), {})
    assert (got["scheduled"], got["ready"], got["node"]) == (False, False, "")
    assert got["unschedulable"] == "0/3 nodes: Insufficient cpu"


def test_a_deletion_is_stamped_with_when_it_was_asked_for_not_with_its_deadline():
    document = pod()
    document["metadata"] |= {"deletionTimestamp": "2026-01-01T00:01:30Z", "deletionGracePeriodSeconds": 30}
    assert views.pod(document, {})["deleting"] is True
    assert views.stamp(document) == views.seconds("2026-01-01T00:01:00Z")


def test_a_node_is_told_with_its_instance():
    document = {
        "metadata": {"name": "n1", "labels": {views.ZONE: "us-east-1b"}},
        "spec": {
            "providerID": "aws:///us-east-1b/i-0abc",
            "unschedulable": True,
            "taints": [{"key": "k", "effect": "NoSchedule"}],
        },
        "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
    }
    assert views.node(document) == {
        "zone": "us-east-1b",
        "ready": False,
        "unschedulable": True,
        "instance": "i-0abc",
        "taints": ["k=:NoSchedule"],
    }
    assert views.subject(document) == "n1"


def test_counts_that_the_api_leaves_out_are_zero():
    assert views.deployment({"spec": {"replicas": 3}}) == {
        "spec": 3,
        "replicas": 0,
        "ready": 0,
        "available": 0,
        "unavailable": 0,
    }


def hpa(current):
    return {
        "spec": {
            "minReplicas": 2,
            "maxReplicas": 6,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 70}}}],
        },
        "status": {
            "currentReplicas": 2,
            "desiredReplicas": 4,
            "currentMetrics": current,
            "conditions": [{"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": "m"}],
        },
    }


@pytest.mark.parametrize(
    ("current", "utilization"),
    [
        ([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 133}}}], 133.0),
        (None, None),
        ([{"type": ""}], None),
    ],
)
def test_an_hpa_is_told_with_what_it_measured(current, utilization):
    got = views.hpa(hpa(current))
    assert (got["min"], got["max"], got["current"], got["desired"], got["target"]) == (2, 6, 2, 4, 70.0)
    assert got["utilization"] == utilization
    assert got["scaling_active"] is True
    assert got["scaling_limited"] is False
    assert got["conditions"] == {"ScalingActive": {"status": "True", "reason": "ValidMetricFound", "message": "m"}}


def endpoint(name, zone, conditions):
    return {
        "addresses": ["198.18.17.2"],
        "zone": zone,
        "conditions": conditions,
        "targetRef": {"kind": "Pod", "name": name},
    }


def test_endpoints_are_ready_unless_they_say_otherwise():
    slices = [
        {"endpoints": [endpoint("a", "z1", {"ready": True}), endpoint("b", "z1", {})]},
        {"endpoints": [endpoint("c", "z2", {"ready": False}), endpoint("d", "z2", {"ready": True})]},
        {"endpoints": None},
    ]
    assert views.endpoints(slices) == {"ready": ["a", "b", "d"], "not_ready": ["c"], "zones": {"z1": 2, "z2": 1}}


def test_a_slice_belongs_to_the_service_that_its_label_names():
    document = {
        "metadata": {"namespace": "shop", "name": "front-x7", "labels": {"kubernetes.io/service-name": "front"}}
    }
    assert views.service(document) == "shop/front"


def test_an_event_of_the_newer_api_is_read_as_well():
    document = {
        "metadata": {"uid": "e"},
        "reason": "Scheduled",
        "reportingComponent": "default-scheduler",
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "p"},
        "series": {"count": 3, "lastObservedTime": "2026-01-01T00:00:02.500000Z"},
    }
    assert views.event(document) == {
        "reason": "Scheduled",
        "message": "",
        "type": "",
        "component": "default-scheduler",
        "count": 3,
        "kind": "Pod",
    }
    assert views.event_stamp(document) == views.seconds("2026-01-01T00:00:02.5Z")
