"""What the record keeps of Kubernetes objects: pure functions of the API's documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

ZONE = "topology.kubernetes.io/zone"
Document = Mapping[str, Any]


def subject(document: Document) -> str:
    """Namespace/name; the name alone where there is no namespace."""
    metadata = document["metadata"]
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def seconds(text: str | None) -> float | None:
    """A Kubernetes time in Unix seconds; None for none."""
    return datetime.fromisoformat(text).timestamp() if text else None


def stamp(document: Document) -> float | None:
    """
    The object's own time for its latest change: when its deletion was asked for, else its last condition's change.

    Its creation where it has no conditions. None if it tells nothing.
    """
    metadata = document["metadata"]
    deleted = seconds(metadata.get("deletionTimestamp"))
    if deleted is not None:
        # The API's deletionTimestamp lies in the future, by the grace period.
        return deleted - float(metadata.get("deletionGracePeriodSeconds") or 0)
    changes = [seconds(c.get("lastTransitionTime")) for c in document.get("status", {}).get("conditions") or ()]
    known = [at for at in changes if at is not None]
    return max(known) if known else seconds(metadata.get("creationTimestamp"))


def conditions(document: Document) -> dict[str, Document]:
    """The object's conditions by type."""
    return {c["type"]: c for c in document.get("status", {}).get("conditions") or ()}


def _is_true(document: Document, kind: str) -> bool:
    return bool(conditions(document).get(kind, {}).get("status") == "True")


def pod(document: Document, zones: Mapping[str, str]) -> dict[str, Any]:
    """A pod; its zone is that of its node, by *zones*."""
    metadata, spec, status = document["metadata"], document.get("spec", {}), document.get("status", {})
    node = spec.get("nodeName", "")
    labels = metadata.get("labels") or {}
    placed = conditions(document).get("PodScheduled", {})
    refused = placed.get("status") == "False" and placed.get("reason") == "Unschedulable"
    return {
        "uid": metadata["uid"],
        "node": node,
        "zone": zones.get(node, ""),
        "phase": status.get("phase", ""),
        "ready": _is_true(document, "Ready"),
        "scheduled": bool(node) or placed.get("status") == "True",
        "unschedulable": placed.get("message", "") if refused else "",
        "owner": _owner(metadata),
        "app": labels.get("app") or labels.get("app.kubernetes.io/name", ""),
        "ip": status.get("podIP", ""),
        "deleting": "deletionTimestamp" in metadata,
    }


def _owner(metadata: Document) -> str:
    owners = metadata.get("ownerReferences") or ()
    return next((f"{owner['kind']}/{owner['name']}" for owner in owners if owner.get("controller")), "")


def node(document: Document) -> dict[str, Any]:
    """A node; *instance* is the cloud's id for it, *unschedulable* whether it is cordoned."""
    spec = document.get("spec", {})
    return {
        "zone": (document["metadata"].get("labels") or {}).get(ZONE, ""),
        "ready": _is_true(document, "Ready"),
        "unschedulable": bool(spec.get("unschedulable", False)),
        "instance": spec.get("providerID", "").rsplit("/", 1)[-1],
        "taints": sorted(f"{t['key']}={t.get('value', '')}:{t['effect']}" for t in spec.get("taints") or ()),
    }


def deployment(document: Document) -> dict[str, Any]:
    """A deployment's replica counts; *spec* is how many are wanted."""
    status = document.get("status", {})
    return {
        "spec": document.get("spec", {}).get("replicas", 1),
        "replicas": status.get("replicas", 0),
        "ready": status.get("readyReplicas", 0),
        "available": status.get("availableReplicas", 0),
        "unavailable": status.get("unavailableReplicas", 0),
    }


def hpa(document: Document) -> dict[str, Any]:
    """A HorizontalPodAutoscaler (autoscaling/v2); *target* and *utilization* in percent of the request."""
    spec, status = document.get("spec", {}), document.get("status", {})
    said = conditions(document)
    return {
        "min": spec.get("minReplicas", 1),
        "max": spec.get("maxReplicas"),
        "current": status.get("currentReplicas", 0),
        "desired": status.get("desiredReplicas", 0),
        "target": _utilization(spec.get("metrics"), "target"),
        "utilization": _utilization(status.get("currentMetrics"), "current"),
        "scaling_active": _is_true(document, "ScalingActive"),
        "scaling_limited": _is_true(document, "ScalingLimited"),
        "conditions": {
            kind: {key: c.get(key, "") for key in ("status", "reason", "message")} for kind, c in said.items()
        },
    }


def _utilization(metrics: Iterable[Document] | None, which: str) -> float | None:
    """The CPU utilization among an HPA's *metrics*; None when it has none (yet)."""
    for metric in metrics or ():
        resource = metric.get("resource") or metric.get("containerResource") or {}
        if resource.get("name") == "cpu":
            value = resource.get(which, {}).get("averageUtilization")
            return None if value is None else float(value)
    return None


def service(document: Document) -> str:
    """The service that an endpoint slice belongs to, as namespace/name."""
    metadata = document["metadata"]
    name = (metadata.get("labels") or {}).get("kubernetes.io/service-name", metadata["name"])
    return f"{metadata['namespace']}/{name}"


def endpoints(slices: Sequence[Document]) -> dict[str, Any]:
    """A service's endpoints over all its slices; *zones* counts the ready ones by zone."""
    ready: dict[str, str] = {}
    not_ready: set[str] = set()
    for document in slices:
        for endpoint in document.get("endpoints") or ():
            target = endpoint.get("targetRef") or {}
            name = target.get("name") or (endpoint.get("addresses") or [""])[0]
            # The API says that an endpoint which does not tell is ready.
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                ready[name] = endpoint.get("zone", "")
            else:
                not_ready.add(name)
    return {
        "ready": sorted(ready),
        "not_ready": sorted(not_ready - ready.keys()),
        "zones": dict(sorted(Counter(ready.values()).items())),
    }


def event(document: Document) -> dict[str, Any]:
    """A Kubernetes event."""
    return {
        "reason": document.get("reason", ""),
        "message": document.get("message", ""),
        "type": document.get("type", ""),
        "component": (document.get("source") or {}).get("component") or document.get("reportingComponent", ""),
        "count": event_count(document),
        "kind": document["involvedObject"].get("kind", ""),
    }


def event_count(document: Document) -> int:
    """How often the event happened so far."""
    return int((document.get("series") or {}).get("count") or document.get("count") or 1)


def event_subject(document: Document) -> str:
    """The object that an event is about."""
    involved = document["involvedObject"]
    return "/".join(filter(None, (involved.get("namespace"), involved.get("name", ""))))


def event_stamp(document: Document) -> float | None:
    """When the event happened last, by its own account."""
    series = (document.get("series") or {}).get("lastObservedTime")
    return seconds(series or document.get("lastTimestamp") or document.get("eventTime"))
