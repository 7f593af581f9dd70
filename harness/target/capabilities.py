"""What a target can do and show, asked once before a run: a plan that needs more is refused or told so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import kubernetes.client

from harness.target.clients import boto3_client, kubernetes_client
from harness.target.target import Target

# What the harness asks of Kubernetes: (verb, API group, resource, namespaced).
RIGHTS = (
    ("watch", "", "pods", True),
    ("watch", "", "nodes", False),
    ("watch", "", "events", True),
    ("watch", "apps", "deployments", True),
    ("watch", "autoscaling", "horizontalpodautoscalers", True),
    ("watch", "discovery.k8s.io", "endpointslices", True),
)


@dataclass(frozen=True, slots=True)
class Capability:
    """One door of the target: whether it answers as it must, and what was seen."""

    source: str
    ok: bool
    found: str


def probe(target: Target) -> tuple[Capability, ...]:
    """Try each of the target's doors without changing anything; a door that fails is a capability that is not ok."""
    doors: list[tuple[str, Callable[[Target], str]]] = [
        ("kubernetes", _kubernetes),
        ("load", _entrypoints),
        ("prometheus", _prometheus),
        ("autoscaling", _autoscaling),
        ("machine", lambda _: "this machine's /proc"),
    ]
    return tuple(_try(source, door, target) for source, door in doors)


def _try(source: str, door: Callable[[Target], str], target: Target) -> Capability:
    try:
        return Capability(source, ok=True, found=door(target))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here means that the door does not answer
        said = str(error).strip().splitlines()
        return Capability(source, ok=False, found=f"{type(error).__name__}: {said[0] if said else ''}")


def _kubernetes(target: Target) -> str:
    api = kubernetes_client(target)
    version = kubernetes.client.VersionApi(api).get_code(_request_timeout=5).git_version
    review = kubernetes.client.AuthorizationV1Api(api)
    for namespace in target.kubernetes.namespaces:
        for verb, group, resource, namespaced in RIGHTS:
            asked = kubernetes.client.V1ResourceAttributes(
                verb=verb, group=group, resource=resource, namespace=namespace if namespaced else None
            )
            spec = kubernetes.client.V1SelfSubjectAccessReviewSpec(resource_attributes=asked)
            body = kubernetes.client.V1SelfSubjectAccessReview(spec=spec)
            if not review.create_self_subject_access_review(body, _request_timeout=5).status.allowed:
                raise PermissionError(f"may not {verb} {resource} in {namespace}; grant it to the kubeconfig's user")
    return f"Kubernetes {version}, rights as needed"


def _entrypoints(target: Target) -> str:
    seen = []
    for url in target.entrypoints:
        answer = httpx.get(url, timeout=5)
        if answer.is_server_error:
            raise ConnectionError(f"{url} answers {answer.status_code}")
        seen.append(f"{url} answers {answer.status_code}")
    return ", ".join(seen)


def _prometheus(target: Target) -> str:
    if target.prometheus is None:
        raise LookupError(f"no `prometheus:` in {target.file}")
    answer = httpx.get(f"{target.prometheus}/api/v1/query", params={"query": "count(up == 1)"}, timeout=5)
    answer.raise_for_status()
    result = answer.json()["data"]["result"]
    if not result:
        raise LookupError("it answers, but scrapes nothing that is up")
    return f"{result[0]['value'][1]} scrape targets up"


def _autoscaling(target: Target) -> str:
    if target.aws is None or not target.aws.autoscaling_groups:
        raise LookupError(f"no `aws.autoscaling_groups:` in {target.file}")
    names = list(target.aws.autoscaling_groups)
    client = boto3_client(target, "autoscaling")
    groups = client.describe_auto_scaling_groups(AutoScalingGroupNames=names)["AutoScalingGroups"]
    missing = set(names) - {group["AutoScalingGroupName"] for group in groups}
    if missing:
        raise LookupError(f"there is no Auto Scaling group {', '.join(sorted(missing))}")
    return ", ".join(f"{g['AutoScalingGroupName']} {g['DesiredCapacity']}/{g['MaxSize']}" for g in groups)
