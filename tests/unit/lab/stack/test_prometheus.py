"""What Prometheus scrapes and keeps, and how it learns of pods and nodes."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.stack import prometheus
from lab.stack.discovery import Discovery, node_targets, pod_targets

CONFIGURATION = prometheus.configuration(Path("/state/prometheus"))
JOBS = {job["job_name"]: job for job in CONFIGURATION["scrape_configs"]}


def pod(name: str, phase: str = "Running", **annotations: str) -> dict[str, Any]:
    told = {"prometheus.io/scrape": "true", "prometheus.io/port": "9100", **annotations}
    labels = {"app": "front", "topology.kubernetes.io/zone": "us-east-1a"}
    return {
        "metadata": {"name": name, "namespace": "shop", "annotations": told, "labels": labels},
        "spec": {"nodeName": "i-1.ec2.internal"},
        "status": {"phase": phase, "podIP": "198.18.17.5"},
    }


def test_a_running_pod_that_asks_for_it_is_a_target_with_its_place() -> None:
    pending, silent = pod("front-2", phase="Pending"), pod("front-3", **{"prometheus.io/scrape": "false"})

    assert pod_targets([pod("front-1"), pending, silent]) == [
        {
            "targets": ["198.18.17.5:9100"],
            "labels": {
                "namespace": "shop",
                "pod": "front-1",
                "node": "i-1.ec2.internal",
                "app": "front",
                "zone": "us-east-1a",
            },
        }
    ]


def test_a_node_without_an_address_is_no_target_yet() -> None:
    addresses = [{"type": "Hostname", "address": "i-1"}, {"type": "InternalIP", "address": "198.18.16.100"}]
    joined = {"metadata": {"name": "i-1"}, "status": {"addresses": addresses}}

    assert node_targets([{"metadata": {"name": "i-2"}}, joined]) == [
        {"targets": ["198.18.16.100:10250"], "labels": {"node": "i-1", "zone": ""}}
    ]


def test_a_silent_api_server_leaves_the_targets_as_they_are(tmp_path: Path) -> None:
    answers = iter(['{"items": []}', '{"items": []}'])

    def ask(*_given: Any, **_named: Any) -> Any:
        data = next(answers, None)
        if data is None:
            raise ConnectionError("silent")
        return SimpleNamespace(data=data)

    discovery = Discovery(SimpleNamespace(list_namespaced_pod=ask, list_node=ask), tmp_path)
    discovery.round()
    with pytest.raises(ConnectionError):
        discovery.round()

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"pods.json": "[]", "nodes.json": "[]"}


@pytest.mark.parametrize(
    ("job", "kept", "dropped"),
    [
        ("shop", "shop_requests_total", "python_gc_objects_collected_total"),
        ("nodes", "pod_cpu_usage_seconds_total", "container_start_time_seconds"),
        ("cadvisor", "container_cpu_cfs_throttled_periods_total", "container_fs_reads_total"),
        ("apiserver", "apiserver_request_total", "apiserver_request_duration_seconds_bucket"),
        ("haproxy", "haproxy_backend_active_servers", "haproxy_process_uptime_seconds"),
    ],
)
def test_only_the_stated_series_of_a_large_source_are_kept(job: str, kept: str, dropped: str) -> None:
    keep = JOBS[job]["metric_relabel_configs"][-1]

    assert keep["action"] == "keep"
    assert re.fullmatch(keep["regex"], kept)
    assert not re.fullmatch(keep["regex"], dropped)


def test_every_list_of_kept_series_belongs_to_a_job() -> None:
    assert set(prometheus.KEPT) <= set(JOBS)


def test_both_balancers_are_scraped_with_their_zone() -> None:
    labels = [group["labels"] for group in JOBS["haproxy"]["static_configs"]]

    assert labels == [{"balancer": "lb-a", "zone": "us-east-1a"}, {"balancer": "lb-b", "zone": "us-east-1b"}]
