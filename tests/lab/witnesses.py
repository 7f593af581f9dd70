"""What tests see of the lab past the harness, and what they do to a run from outside."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from kubernetes import client

from harness.target.clients import boto3_client
from harness.target.target import Target

KUBELET = 10250


class Zone:
    """A zone as the AWS API and the wire show it."""

    def __init__(self, name: str, target: Target, cluster: client.ApiClient) -> None:
        self._ec2 = boto3_client(target, "ec2")
        nodes = client.CoreV1Api(cluster).list_node(label_selector=f"topology.kubernetes.io/zone={name}").items
        self._node = next(a.address for a in nodes[0].status.addresses if a.type == "InternalIP")

    def associations(self) -> dict[str, str]:
        acls = self._ec2.describe_network_acls()["NetworkAcls"]
        return {each["SubnetId"]: each["NetworkAclId"] for acl in acls for each in acl["Associations"]}

    def acls(self) -> set[str]:
        return {acl["NetworkAclId"] for acl in self._ec2.describe_network_acls()["NetworkAcls"]}

    def is_reached(self) -> bool:
        try:
            socket.create_connection((self._node, KUBELET), timeout=0.5).close()
        except OSError:
            return False
        return True


def pods(cluster: client.ApiClient) -> dict[str, str]:
    found = client.CoreV1Api(cluster).list_namespaced_pod("shop").items
    return {pod.metadata.uid: pod.metadata.name for pod in found}


def unschedulable(cluster: client.ApiClient) -> list[str]:
    found = client.CoreV1Api(cluster).list_namespaced_pod("shop", field_selector="status.phase=Pending").items
    return [
        pod.metadata.name
        for pod in found
        if any(c.type == "PodScheduled" and c.reason == "Unschedulable" for c in pod.status.conditions or ())
    ]


@contextmanager
def bystanders() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that look like a run's and are none: a locust and a chaos by name, one of another run's environment."""
    nap = "import time; time.sleep(600)"
    argvs = [[sys.executable, "-c", nap, name] for name in ("locust", "chaos run", "harness.chaos.watchdog")]
    started = [
        subprocess.Popen(argv, env={**os.environ, "GAMEDAY_RUN": "/tmp/another"}, start_new_session=True)
        for argv in argvs
    ]
    try:
        yield started
    finally:
        for each in started:
            each.kill()
            each.wait()


@contextmanager
def throttled(process: psutil.Process, cores: float) -> Iterator[None]:
    """*process* gets *cores* of CPU at most, in a cgroup of our own that is gone afterwards."""
    controller = Path("/sys/fs/cgroup/cpu")
    group = controller / f"gdtry-throttle-{os.getpid()}"
    before = next(line for line in Path(f"/proc/{process.pid}/cgroup").read_text().splitlines() if ":cpu:" in line)
    group.mkdir()
    try:
        # The longest period that there is, for the kernel takes no quota below a millisecond.
        (group / "cpu.cfs_period_us").write_text("1000000")
        (group / "cpu.cfs_quota_us").write_text(str(round(cores * 1_000_000)))
        (group / "cgroup.procs").write_text(str(process.pid))
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():  # only where the test failed before its end
            (controller / before.rpartition(":")[2].lstrip("/") / "cgroup.procs").write_text(pid)
        group.rmdir()
