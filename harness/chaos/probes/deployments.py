"""Whether Kubernetes calls the target's deployments available."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import kubernetes.client

from harness.chaos.session import target_of
from harness.chaos.settle import settle
from harness.model.errors import TargetError
from harness.target.clients import kubernetes_client


def deployments_available(namespace: str, names: Sequence[str] | None = None, within: float = 0) -> bool:
    """
    True when each of *names* (all in *namespace*, if not given) is Available within *within* seconds.

    Raises TargetError, naming them, when some are not, and when there is none to look at.
    """
    apps = kubernetes.client.AppsV1Api(kubernetes_client(target_of()))

    def read() -> list[str]:
        return unavailable(apps.list_namespaced_deployment(namespace, _request_timeout=10).items, namespace, names)

    wrong = settle(read, lambda found: not found, float(within))
    if wrong:
        raise TargetError(f"not steady after {within} s: {'; '.join(wrong)}")
    return True


def unavailable(items: Sequence[Any], namespace: str, names: Sequence[str] | None) -> list[str]:
    """What is wrong, a phrase each; *items* are V1Deployments."""
    found = {item.metadata.name: item for item in items}
    if not found:
        return [f"namespace {namespace} has no deployment"]
    return [
        f"{namespace}/{name} {'is not available' if name in found else 'does not exist'}"
        for name in (names or sorted(found))
        if name not in found or not _available(found[name])
    ]


def _available(item: Any) -> bool:
    """Kubernetes' own condition, which allows for pods that are still being added by an autoscaler; never with none."""
    conditions = item.status.conditions or ()
    stated = any(c.type == "Available" and c.status == "True" for c in conditions)
    return stated and (item.status.available_replicas or 0) > 0
