"""
Tells Prometheus of pods and nodes through files: Debian's build of it cannot ask Kubernetes itself.

Lists are read from the API server's cache, as user prometheus, every few seconds; while it is silent the files stay as
they are.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from lab.context import Lab
from lab.kubernetes import apply

ROUND = 2.0
ZONE = "topology.kubernetes.io/zone"
ANNOTATION = "prometheus.io"
KUBELET_PORT = 10250
log = logging.getLogger(__name__)

Document = Mapping[str, Any]


def pod_targets(pods: Iterable[Document]) -> list[dict[str, Any]]:
    """A group for each running pod that asks to be scraped by its annotations."""
    groups = []
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status", {})
        annotations, labels = metadata.get("annotations", {}), metadata.get("labels", {})
        if annotations.get(f"{ANNOTATION}/scrape") != "true" or status.get("phase") != "Running":
            continue
        if not status.get("podIP"):
            continue
        about = {
            "namespace": metadata["namespace"],
            "pod": metadata["name"],
            "node": pod["spec"].get("nodeName", ""),
            "app": labels.get("app", ""),
            "zone": labels.get(ZONE, ""),
        }
        groups.append({"targets": [f"{status['podIP']}:{annotations[f'{ANNOTATION}/port']}"], "labels": about})
    return sorted(groups, key=lambda group: str(group["targets"]))


def node_targets(nodes: Iterable[Document]) -> list[dict[str, Any]]:
    """A group for each node's kubelet."""
    groups = []
    for node in nodes:
        metadata = node["metadata"]
        addresses = node.get("status", {}).get("addresses", [])
        address = next((each["address"] for each in addresses if each["type"] == "InternalIP"), None)
        if address is None:
            continue
        about = {"node": metadata["name"], "zone": metadata.get("labels", {}).get(ZONE, "")}
        groups.append({"targets": [f"{address}:{KUBELET_PORT}"], "labels": about})
    return sorted(groups, key=lambda group: str(group["targets"]))


@dataclass(slots=True)
class Discovery:
    """The loop that keeps `pods.json` and `nodes.json` in *folder* equal to the cluster."""

    core: Any
    folder: Path
    namespace: str = "shop"
    _stop: threading.Event = field(default_factory=threading.Event)
    _written: dict[str, str] = field(default_factory=dict)
    _silent: bool = False

    def run(self) -> None:
        """Rounds without end."""
        while not self._stop.wait(ROUND):
            try:
                self.round()
            except (ApiException, urllib3.exceptions.HTTPError) as error:
                if not self._silent:
                    log.warning("targets of Prometheus stay as they are: %s: %s", type(error).__name__, error)
                self._silent = True
            else:
                self._silent = False

    def round(self) -> None:
        """Both files tell of the cluster as it is; raises what the client raises."""
        # Raw JSON from the cache (version 0): making objects of all pods every few seconds would cost more than asking.
        raw = {"resource_version": "0", "_preload_content": False, "_request_timeout": 3}
        pods = json.loads(self.core.list_namespaced_pod(self.namespace, **raw).data)
        nodes = json.loads(self.core.list_node(**raw).data)
        self._write("pods.json", pod_targets(pods["items"]))
        self._write("nodes.json", node_targets(nodes["items"]))

    def stop(self) -> None:
        """The loop ends after its round."""
        self._stop.set()

    def _write(self, name: str, groups: list[dict[str, Any]]) -> None:
        content = json.dumps(groups, indent=1)
        if self._written.get(name) == content:
            return
        unfinished = self.folder / f".{name}.new"
        unfinished.write_text(content)
        unfinished.chmod(0o644)
        os.replace(unfinished, self.folder / name)  # noqa: PTH105 - atomic, over what is there
        self._written[name] = content


_running: dict[Path, threading.Thread] = {}


def start(lab: Lab, folder: Path) -> None:
    """The files in *folder* tell of the pods and nodes that there are, and will."""
    if folder in _running and _running[folder].is_alive():
        return
    discovery = Discovery(client.CoreV1Api(apply.api(lab, "prometheus")), folder)
    discovery.round()
    thread = threading.Thread(target=discovery.run, name="discovery for Prometheus", daemon=True)
    thread.start()
    _running[folder] = thread
