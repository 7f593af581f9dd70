"""What the pods said during the run, fetched once at its end; pods that are gone by then have taken their words along."""

from __future__ import annotations

import time
from typing import Any

import kubernetes.client
import urllib3.exceptions

from harness.rundir import RunDir
from harness.target.clients import kubernetes_client
from harness.target.target import Target

MOST_BYTES = 2_000_000  # of one pod: enough for a game-day, and bounded


def fetch_pod_logs(target: Target, folder: RunDir, since: float) -> None:
    """
    Write the logs of the target's pods since *since* (Unix seconds) to `logs/pods/`, and record how many there are.

    Never raises for a cluster that does not answer: logs help a person to understand, no verdict rests on them.
    """
    missing: dict[str, str] = {}
    fetched = 0
    try:
        core = kubernetes.client.CoreV1Api(kubernetes_client(target))
        for namespace in target.kubernetes.namespaces:
            for pod in core.list_namespaced_pod(namespace, _request_timeout=10).items:
                try:
                    text = _log(core, pod, max(1, int(time.time() - since)))
                except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError) as error:
                    missing[f"{namespace}/{pod.metadata.name}"] = _said(error)
                    continue
                path = folder.logs / "pods" / f"{namespace}_{pod.metadata.name}.log"
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
                fetched += 1
    except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError) as error:
        missing["*"] = _said(error)
    folder.append_event("runner", "logs.fetched", folder.path.name, {"pods": fetched, "missing": missing})


def _log(core: Any, pod: Any, seconds: int) -> str:
    return str(
        core.read_namespaced_pod_log(
            pod.metadata.name,
            pod.metadata.namespace,
            container=pod.spec.containers[0].name,
            since_seconds=seconds,
            limit_bytes=MOST_BYTES,
            timestamps=True,
            _request_timeout=10,
        )
    )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(getattr(error, 'reason', '') or error).splitlines()[0]}"
