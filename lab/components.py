"""
The lab's components, in the order that a reader best meets them; what each comes after is all that orders their starts.

Adding one is one file with a `start(lab)` and one line here.
"""

from __future__ import annotations

from lab.cloud import component as cloud
from lab.context import Component, Lab
from lab.hosts import network
from lab.kubernetes import (
    apiserver,
    cloud_node,
    cluster_autoscaler,
    controller_manager,
    dns,
    etcd,
    images,
    metrics_server,
    pki,
    rbac,
    registry,
    scheduler,
)
from lab.kubernetes.node import KubernetesNodes
from lab.stack import balancers, manifests, postgres, prometheus, redis, target


def _start_cloud(lab: Lab) -> None:
    cloud.start_cloud(lab)


def _push_pause(lab: Lab) -> None:
    images.push_pause(lab)


def _start_instances(lab: Lab) -> None:
    cloud.start_actuators(lab, KubernetesNodes(lab))


COMPONENTS: tuple[Component, ...] = (
    Component("network", network.start),
    # What AWS runs for you: its API, and a control plane.
    Component("cloud", _start_cloud, after=("network",)),
    Component("pki", pki.start),
    Component("etcd", etcd.start, after=("network",)),
    Component("apiserver", apiserver.start, after=("etcd", "pki")),
    Component("rbac", rbac.start, after=("apiserver",)),
    Component("controllers", controller_manager.start, after=("apiserver",)),
    Component("scheduler", scheduler.start, after=("apiserver",)),
    Component("dns", dns.start, after=("rbac",)),
    Component("metrics-server", metrics_server.start, after=("rbac",)),
    Component("registry", registry.start, after=("network",)),
    Component("pause-image", _push_pause, after=("registry",)),
    # Instances become nodes from here on, for as long as the lab is up.
    Component("instances", _start_instances, after=("cloud", "rbac", "controllers", "pause-image")),
    Component("cloud-nodes", cloud_node.start, after=("cloud", "rbac")),
    Component("cluster-autoscaler", cluster_autoscaler.start, after=("cloud", "rbac")),
    # What you run on it.
    Component("postgres", postgres.start, after=("network",)),
    Component("redis", redis.start, after=("network",)),
    Component("shop", manifests.start, after=("instances", "scheduler", "dns", "postgres", "redis")),
    Component("balancers", balancers.start, after=("instances",)),
    Component("prometheus", prometheus.start, after=("rbac", "balancers", "metrics-server")),
    Component("target", target.start, after=("shop", "balancers", "prometheus", "cluster-autoscaler")),
)
