"""The shop in the cluster: its image is pushed, its manifests are applied, its pods are ready."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kubernetes import client

from lab.context import REDIS, Lab
from lab.errors import LabError
from lab.kubernetes import apply, images
from lab.stack import postgres, redis
from lab.stack.awaiting import still_missing

NAMESPACE = "shop"
SERVICES = ("front", "back")
FOLDER = Path(__file__).with_name("manifests")
FILES = ("namespace.yaml", "back.yaml", "front.yaml")
# All that the shop imports; the versions are this environment's, which the lock file holds.
LIBRARIES = (
    "anyio",
    "certifi",
    "click",
    "h11",
    "httpcore",
    "httptools",
    "idna",
    "prometheus-client",
    "psycopg",
    "psycopg-binary",
    "psycopg-pool",
    "redis",
    "starlette",
    "typing-extensions",
    "uvicorn",
    "uvloop",
)
# What redis needs on the image's Python 3.11.2, and not on a newer one that may run the lab; it gets no more releases.
BACKPORTS = ("async-timeout==5.0.1",)
# Three pods a service on nodes that pull the image for the first time, each with 150 mCPU to start by.
READY_WITHIN = 240.0


class ShopNotReady(LabError):
    """A deployment is not available in time; the message says what its pods wait for."""


def application() -> images.PythonApplication:
    """The shop as an image; a container's argument says which service it is."""
    requirements = tuple(f"{library}=={version(library)}" for library in LIBRARIES)
    return images.PythonApplication("shop", Path(__file__).with_name("shop"), "shop", (*requirements, *BACKPORTS))


def documents(image: str, database_url: str) -> Iterator[apply.Manifest]:
    """Every object of the shop, in the order of applying."""
    for file in FILES:
        for document in apply.read(FOLDER / file):
            yield _with_image(document, image)
            if document["kind"] == "Namespace":
                yield _addresses()
                yield _database(database_url)


def _with_image(document: apply.Manifest, image: str) -> apply.Manifest:
    if document["kind"] != "Deployment":
        return document
    changed = copy.deepcopy(dict(document))
    for container in changed["spec"]["template"]["spec"]["containers"]:
        container["image"] = image
    return changed


def _addresses() -> apply.Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "addresses", "namespace": NAMESPACE},
        "data": {"SHOP_REDIS_URL": f"redis://{REDIS.address}:{redis.PORT}/0"},
    }


def _database(url: str) -> apply.Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "database", "namespace": NAMESPACE},
        "type": "Opaque",
        "stringData": {"url": url},
    }


def unavailable(deployment: Any, least: int) -> str:
    """Why *deployment* is not yet what its manifest says with *least* pods or more; empty when it is."""
    status = deployment.status
    name = deployment.metadata.name
    if (status.observed_generation or 0) < deployment.metadata.generation:
        return f"{name}: not looked at by the controller yet"
    wanted = max(least, deployment.spec.replicas)
    updated, available = status.updated_replicas or 0, status.available_replicas or 0
    if updated < wanted or available < wanted:
        return f"{name}: {available} of {wanted} pods available, {updated} of them of this version"
    return ""


def pod_troubles(pods: Any) -> list[str]:
    """What the pods that are not ready wait for, in the words of the scheduler and the kubelets."""
    return [
        f"{pod.metadata.name} {pod.status.phase}: {'; '.join(_reasons(pod)) or 'no reason given'}"
        for pod in pods
        if not any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])
    ]


def _reasons(pod: Any) -> Iterator[str]:
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status != "True":
            yield f"{condition.reason} {condition.message}"
    for container in pod.status.container_statuses or []:
        waiting, last = container.state.waiting, container.last_state.terminated
        if waiting:
            yield f"{waiting.reason} {waiting.message or ''}".strip()
        if last:
            yield f"ended before with {last.reason}, exit code {last.exit_code}"


def _await(lab: Lab) -> None:
    apps, core = client.AppsV1Api(apply.api(lab)), client.CoreV1Api(apply.api(lab))
    scalers = client.AutoscalingV2Api(apply.api(lab))

    def missing() -> list[str]:
        found = []
        for name in SERVICES:
            least = scalers.read_namespaced_horizontal_pod_autoscaler(name, NAMESPACE).spec.min_replicas
            found.append(unavailable(apps.read_namespaced_deployment(name, NAMESPACE), least))
        return [each for each in found if each]

    left = still_missing(missing, READY_WITHIN)
    if left:
        said = "\n".join(left + pod_troubles(core.list_namespaced_pod(NAMESPACE).items))
        raise ShopNotReady(
            f"the shop is not available after {READY_WITHIN:.0f} s:\n{said}",
            hint=f"kubectl --kubeconfig {lab.state}/kubeconfig -n {NAMESPACE} get pods,events",
        )


def start(lab: Lab) -> None:
    """Front and back have all the pods that their autoscalers want at the least, and these are ready."""
    image = images.python_image(lab, application())
    apply.apply(lab, documents(image, postgres.server(lab).url))
    lab.say("shop: waiting for its pods")
    _await(lab)
