"""The table of collectors: one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.observe.autoscaling import Autoscaling
from harness.observe.collector import Collector, PollingCollector
from harness.observe.kubernetes import Kubernetes
from harness.observe.machine import Machine
from harness.observe.prometheus import POLL, Prometheus, queries
from harness.target.clients import boto3_client, kubernetes_client
from harness.target.target import Target


def _kubernetes(target: Target) -> Collector:
    return Kubernetes(target.kubernetes.namespaces, lambda: kubernetes_client(target))


def _prometheus(target: Target) -> Collector | None:
    if target.prometheus is None:
        return None
    source = Prometheus(target.prometheus, queries(target.kubernetes.namespaces))
    return PollingCollector("prometheus", source, every=POLL)


def _autoscaling(target: Target) -> Collector | None:
    if target.aws is None or not target.aws.autoscaling_groups:
        return None
    source = Autoscaling(target.aws.autoscaling_groups, lambda: boto3_client(target, "autoscaling"))
    return PollingCollector("autoscaling", source, every=2.0)


def _machine(_: Target) -> Collector:
    return PollingCollector("machine", Machine(), every=1.0)


COLLECTORS: Mapping[str, Callable[[Target], Collector | None]] = {
    "machine": _machine,
    "kubernetes": _kubernetes,
    "prometheus": _prometheus,
    "autoscaling": _autoscaling,
}


def for_target(target: Target) -> list[Collector]:
    """The collectors for all that *target* has; a door that it lacks has none, and no evidence comes from it."""
    made = (make(target) for make in COLLECTORS.values())
    return [collector for collector in made if collector is not None]
