"""Killing pods, as a crash does it: at once, unless a grace period is asked for."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import kubernetes.client

from harness.chaos.actions import Harm
from harness.chaos.session import Session
from harness.chaos.settle import settle
from harness.model.errors import TargetError
from harness.target.clients import kubernetes_client
from harness.target.target import Target

GONE_WITHIN = 30.0
ZONE_LABEL = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class Pod:
    """A ready pod and where it runs."""

    name: str
    namespace: str
    uid: str
    node: str
    zone: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def kill_pods(
    selector: str,
    namespace: str,
    count: int | None = None,
    percentage: float | None = None,
    grace_period: int = 0,
) -> dict[str, Any]:
    """
    Kill *count* or *percentage* (rounded up) of the ready pods that *selector* matches, chosen by the plan's seed.

    Nothing needs undoing: their controllers replace them, and that is what the verdict is about. Raises TargetError
    when there is no such pod, when there are fewer than asked for, or when one was not seen to go in time.
    """
    session = Session.current()
    core = kubernetes.client.CoreV1Api(kubernetes_client(session.target))
    ready = ready_pods(core, session.target, selector, namespace)
    chosen = choose(ready, wanted(len(ready), count, percentage), f"{session.seed}/{session.experiment}")
    began = time.time()
    refused = {pod: said for pod in chosen if (said := _delete(core, pod, grace_period))}
    asked = [pod for pod in chosen if pod not in refused]
    left = settle(lambda: _left(core, asked), lambda pods: not pods, GONE_WITHIN + grace_period)
    wrong = refused | dict.fromkeys(left, "is still there")
    killed = [pod for pod in chosen if pod not in wrong]
    details = {
        "pods": [asdict(pod) for pod in killed],
        "selector": selector,
        "ready_before": len(ready),
        "gone_after": round(time.time() - began, 3),
    }
    # Also when it is not all: harm that was done belongs into the record.
    harm = session.injected("kill_pods", [str(pod) for pod in killed], details, stamp=began) if killed else {}
    if wrong:
        raise TargetError(
            f"{len(killed)} of {len(chosen)} pods were killed: {'; '.join(f'{pod} {said}' for pod, said in wrong.items())}",
            hint="does a finalizer hold a pod, is its node lost, or is something else deleting pods too?",
        )
    return harm


def preview_kill_pods(target: Target, arguments: Mapping[str, Any]) -> Harm:
    """The pods that it would choose from, and how many; TargetError as `kill_pods` would raise it."""
    core = kubernetes.client.CoreV1Api(kubernetes_client(target))
    selector = str(arguments["selector"])
    ready = ready_pods(core, target, selector, str(arguments["namespace"]))
    number = wanted(len(ready), arguments.get("count"), arguments.get("percentage"))
    details = {"kills": number, "selector": selector, "zones": sorted({pod.zone for pod in ready})}
    names = tuple(map(str, ready))
    share = number / len(ready)
    said = f"kills {number} of the {len(ready)} ready pods that match {selector} ({share:.0%}): of {', '.join(names)}"
    return Harm(said, names, "ready pods that match", share, details)


def ready_pods(core: Any, target: Target, selector: str, namespace: str) -> list[Pod]:
    """The ready pods that *selector* matches, by name; TargetError when there is none, or it is out of bounds."""
    allowed = target.kubernetes.namespaces
    if namespace not in allowed:
        raise TargetError(
            f"namespace {namespace!r} is out of bounds: faults may act in {', '.join(allowed)}",
            hint="add it to kubernetes.namespaces in the target file, if you mean it",
        )
    if not selector.strip():
        raise TargetError("an empty selector would match every pod", hint="give a label selector such as app=front")
    zones = {
        n.metadata.name: (n.metadata.labels or {}).get(ZONE_LABEL, "")
        for n in core.list_node(_request_timeout=10).items
    }
    found = core.list_namespaced_pod(namespace, label_selector=selector, _request_timeout=10).items
    ready = [
        Pod(p.metadata.name, namespace, p.metadata.uid, p.spec.node_name, zones.get(p.spec.node_name, ""))
        for p in found
        if _is_ready(p)
    ]
    if not ready:
        raise TargetError(
            f"selector {selector!r} matches no ready pod in namespace {namespace!r} ({len(found)} in all)",
            hint=f"see what there is: kubectl -n {namespace} get pods --show-labels",
        )
    return sorted(ready, key=str)


def wanted(ready: int, count: int | None, percentage: float | None) -> int:
    """How many of *ready* pods are asked for; a percentage is rounded up, so that it never means none."""
    if (count is None) == (percentage is None):
        raise TargetError("give either count or percentage", hint="for example count: 1")
    if percentage is not None and not 0 < percentage <= 100:
        raise TargetError(f"percentage is {percentage}; it must be above 0 and at most 100")
    # The 1e-9 keeps 7 % of 100 at 7, where floating point says 7.000000000000001.
    number = math.ceil(ready * percentage / 100 - 1e-9) if percentage is not None else int(count or 0)
    number = max(number, 1) if percentage is not None else number
    if number < 1:
        raise TargetError(f"count is {count}: nothing would be hit", hint="give at least 1")
    if number > ready:
        raise TargetError(f"{number} pods are to be killed, only {ready} are ready", hint="lower count")
    return number


def choose(pods: Sequence[Pod], number: int, seed: str) -> list[Pod]:
    """*number* different pods; the same pods and seed give the same choice, in whatever order they come."""
    return random.Random(seed).sample(sorted(pods, key=str), number)


def _is_ready(pod: Any) -> bool:
    conditions = pod.status.conditions or ()
    return pod.metadata.deletion_timestamp is None and any(c.type == "Ready" and c.status == "True" for c in conditions)


def _delete(core: Any, pod: Pod, grace_period: int) -> str:
    """
    Delete exactly this pod; what the API says against it, or nothing.

    The uid keeps a successor of the same name (StatefulSet) from being hit.
    """
    options = kubernetes.client.V1DeleteOptions(
        grace_period_seconds=grace_period, preconditions=kubernetes.client.V1Preconditions(uid=pod.uid)
    )
    try:
        core.delete_namespaced_pod(pod.name, pod.namespace, body=options, _request_timeout=10)
    except kubernetes.client.ApiException as error:
        return f"was not deleted: {error.status} {error.reason}"
    return ""


def _left(core: Any, pods: Sequence[Pod]) -> list[Pod]:
    namespaces = {pod.namespace for pod in pods}
    present = {p.metadata.uid for n in namespaces for p in core.list_namespaced_pod(n, _request_timeout=10).items}
    return [pod for pod in pods if pod.uid in present]
