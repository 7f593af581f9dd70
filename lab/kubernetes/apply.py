"""Manifests reach the API server by server-side apply, so that applying twice is applying once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError

from lab.context import Lab
from lab.errors import LabError
from lab.hosts.interfaces import Host
from lab.kubernetes import pki

FIELD_MANAGER = "gameday-lab"
MANIFESTS = Path(__file__).parent / "manifests"

Manifest = Mapping[str, Any]


class ApplyFailed(LabError):
    """The API server refused a manifest; the message names the object and its reason."""


def api(lab: Lab, user: str = "admin") -> Any:
    """A client of the lab's API server as *user*."""
    return _api(str(pki.of(lab).kubeconfig(user)))


@lru_cache
def _api(kubeconfig: str) -> Any:
    return config.new_client_from_config(config_file=kubeconfig)


def apply(lab: Lab, documents: Iterable[Manifest]) -> None:
    """All *documents* are as given in the cluster, in their order; ApplyFailed names the first that was refused."""
    discovered = lab.state / "parts" / "discovery.json"
    discovered.parent.mkdir(parents=True, exist_ok=True)
    dynamic = DynamicClient(api(lab), cache_file=str(discovered))
    for document in documents:
        _apply(dynamic, document)


def _apply(dynamic: Any, document: Manifest) -> None:
    metadata = document["metadata"]
    try:
        resource = dynamic.resources.get(api_version=document["apiVersion"], kind=document["kind"])
        dynamic.server_side_apply(
            resource,
            body=dict(document),
            name=metadata["name"],
            namespace=metadata.get("namespace"),
            field_manager=FIELD_MANAGER,
            force_conflicts=True,
        )
    except DynamicApiError as error:
        what = f"{document['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
        raise ApplyFailed(f"{what} was refused: {error.status} {error.summary()}") from error


def read(path: Path) -> list[Manifest]:
    """The documents of the YAML file *path*."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def service_of_host(service: Manifest, host: Host) -> list[Manifest]:
    """*service* without a selector, and the EndpointSlice that leads it to *host*; ports keep their names."""
    metadata = service["metadata"]
    ports = [
        {"name": port["name"], "protocol": port.get("protocol", "TCP"), "port": port["targetPort"]}
        for port in service["spec"]["ports"]
    ]
    slice_: Manifest = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{metadata['name']}-{host.name}",
            "namespace": metadata["namespace"],
            "labels": {
                "kubernetes.io/service-name": metadata["name"],
                "endpointslice.kubernetes.io/managed-by": FIELD_MANAGER,
            },
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [{"addresses": [str(host.address)], "conditions": {"ready": True}}],
    }
    return [service, slice_]


def core(lab: Lab, user: str = "admin") -> Any:
    """The core/v1 API as *user*."""
    return client.CoreV1Api(api(lab, user))
