"""
The cloud's node lifecycle controller: a Node that is not ready and whose instance is gone is deleted.

Same rule and same period as in the AWS cloud controller manager, which EKS runs for you. Without it the pods of a
terminated instance would stay bound to it for five minutes more.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from lab.context import AWS, REGION, Lab
from lab.kubernetes.apply import core

PERIOD = 5.0
GONE = frozenset({"terminated", "shutting-down"})
_log = logging.getLogger(__name__)
_running: dict[str, CloudNodeLifecycle] = {}


class CloudNodeLifecycle:
    """Compares the cluster's nodes (*nodes*: core/v1 API) with the instances of *ec2* (a boto3 client)."""

    def __init__(self, nodes: Any, ec2: Any) -> None:
        self._nodes = nodes
        self._ec2 = ec2
        self._stop = threading.Event()

    def step(self) -> list[str]:
        """One comparison; the names of the nodes that were deleted."""
        silent = [node for node in self._nodes.list_node().items if not _is_ready(node)]
        gone = self._gone({_instance_id(node) for node in silent} - {""}) if silent else frozenset[str]()
        deleted = []
        for node in silent:
            if _instance_id(node) in gone:
                self._nodes.delete_node(node.metadata.name)
                deleted.append(node.metadata.name)
        return deleted

    def run(self) -> None:
        """Steps until `stop`; an API that does not answer is asked again the next time."""
        while not self._stop.wait(PERIOD):
            try:
                deleted = self.step()
            except (ApiException, HTTPError, BotoCoreError, ClientError) as error:
                _log.warning("nodes could not be compared with instances: %s", error)
                continue
            for name in deleted:
                _log.info("node %s deleted: its instance is gone", name)

    def stop(self) -> None:
        """Ends `run` after its present step."""
        self._stop.set()

    def _gone(self, ids: set[str]) -> frozenset[str]:
        """Those of *ids* that are terminated or that EC2 has never heard of."""
        # A filter, not InstanceIds: an unknown id there is an error for the whole call.
        filters = [{"Name": "instance-id", "Values": sorted(ids)}]
        pages = self._ec2.get_paginator("describe_instances").paginate(Filters=filters)
        states = {
            instance["InstanceId"]: instance["State"]["Name"]
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        }
        return frozenset(each for each in ids if states.get(each, "terminated") in GONE)


def start(lab: Lab) -> None:
    """The controller runs in this process, once."""
    key = str(lab.state)
    if key in _running:
        return
    ec2 = boto3.client(
        "ec2",
        region_name=REGION,
        endpoint_url=f"http://{AWS.address}:5000",
        # moto takes any; none of the machine's own may ever be sent.
        aws_access_key_id="lab",
        aws_secret_access_key="lab",  # noqa: S106
    )
    controller = CloudNodeLifecycle(core(lab, "cloud-node-lifecycle"), ec2)
    _running[key] = controller
    threading.Thread(target=controller.run, name="cloud-node-lifecycle", daemon=True).start()


def stop(lab: Lab) -> None:
    """The controller of *lab* ends."""
    if controller := _running.pop(str(lab.state), None):
        controller.stop()


def _is_ready(node: Any) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in node.status.conditions or ())


def _instance_id(node: Any) -> str:
    provider = node.spec.provider_id or ""
    return provider.rsplit("/", 1)[-1] if provider.startswith("aws://") else ""
