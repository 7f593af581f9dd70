"""
Prometheus 2.42 on a host that no zone holds: the shop, its nodes, the balancers and the control plane, and one
node-exporter that tells of the machine itself.

All times in seconds. Users' side is scraped every 5 s; what is large or changes slowly less often, as RARELY states.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from lab.context import APISERVER, BALANCERS, PROMETHEUS, Lab
from lab.hosts.interfaces import Part
from lab.kubernetes import cluster_autoscaler, metrics_server, pki
from lab.kubernetes.answers import http_ok
from lab.stack import discovery, haproxy

PORT = 9090
EXPORTER_PORT = 9100
URL = f"http://{PROMETHEUS.address}:{PORT}"
USER = "prometheus"
RETENTION = "6h"
INTERVAL = "5s"
RARELY = "15s"
# The API server's and cAdvisor's full answers would cost more CPU than the shop: these are kept, all others dropped
# when they are scraped.
KEPT = {
    "prometheus": r"prometheus_(ready|tsdb_head_series|target_scrapes_.+_total)|process_(cpu_seconds_total|resident_memory_bytes)",
    "shop": r"shop_.+|process_cpu_seconds_total|process_resident_memory_bytes|process_start_time_seconds",
    "nodes": r"(node|pod|container)_cpu_usage_seconds_total|(node|pod|container)_memory_working_set_bytes|scrape_error",
    "cadvisor": r"container_cpu_cfs_(periods|throttled_periods|throttled_seconds)_total|container_oom_events_total",
    "apiserver": (
        r"apiserver_request_total|apiserver_current_inflight_requests|apiserver_storage_objects"
        r"|process_cpu_seconds_total|process_resident_memory_bytes"
    ),
    "metrics-server": (
        r"metrics_server_.+_(sum|count|total|points_stored)|metrics_server_storage_points"
        r"|process_cpu_seconds_total|process_resident_memory_bytes"
    ),
    "cluster-autoscaler": (
        r"cluster_autoscaler_(nodes_count|unschedulable_pods_count|cluster_safe_to_autoscale|last_activity"
        r"|scaled_up_nodes_total|scaled_down_nodes_total|failed_scale_ups_total|unneeded_nodes_count|errors_total)"
        r"|process_cpu_seconds_total|process_resident_memory_bytes"
    ),
    "haproxy": (
        r"haproxy_(frontend_(http_requests|http_responses|bytes_in|bytes_out)_total|frontend_current_sessions"
        r"|backend_(http_responses|connection_errors|response_errors|retry_warnings|redispatch_warnings)_total"
        r"|backend_(current_queue|active_servers)|backend_(total|response)_time_average_seconds"
        r"|server_(http_responses_total|status|current_sessions|check_failures_total|check_up_down_total))"
    ),
}


def _job(name: str, **about: Any) -> dict[str, Any]:
    job = {"job_name": name, **about}
    if name in KEPT:
        kept = {"source_labels": ["__name__"], "regex": KEPT[name], "action": "keep"}
        job["metric_relabel_configs"] = [*job.get("metric_relabel_configs", []), kept]
    return job


def _found(folder: Path, file: str) -> list[dict[str, Any]]:
    return [{"files": [str(folder / file)], "refresh_interval": "10s"}]


# A pod's own cgroup and its sandbox would be one series once their ids are dropped.
_CONTAINERS = {"source_labels": ["container"], "regex": ".+", "action": "keep"}


def _kubelets(name: str, interval: str, folder: Path) -> dict[str, Any]:
    return _job(
        name,
        scrape_interval=interval,
        scheme="https",
        metrics_path="/metrics/resource" if name == "nodes" else f"/metrics/{name}",
        tls_config=_credentials(folder),
        file_sd_configs=_found(folder, "nodes.json"),
        metric_relabel_configs=[
            # Of containers only the shop's; what a node says of itself has no namespace.
            {"source_labels": ["namespace"], "regex": "shop|", "action": "keep"},
            *([] if name == "nodes" else [_CONTAINERS]),
            {"regex": "id|image|name", "action": "labeldrop"},
        ],
    )


def _credentials(folder: Path) -> dict[str, Any]:
    return {f"{name}_file": str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}


def _static(name: str, *targets: str, interval: str = INTERVAL, **about: Any) -> dict[str, Any]:
    return _job(name, scrape_interval=interval, static_configs=[{"targets": list(targets)}], **about)


def configuration(folder: Path) -> dict[str, Any]:
    """What is scraped, with the certificates and the lists of pods and nodes that lie in *folder*."""
    files = _credentials(folder)
    api = str(APISERVER.address)
    balancers = [
        {
            "targets": [f"{host.address}:{haproxy.METRICS_PORT}"],
            "labels": {"balancer": host.name, "zone": host.subnet.zone},
        }
        for host in BALANCERS
    ]
    return {
        "global": {"scrape_interval": INTERVAL, "scrape_timeout": "4s", "evaluation_interval": INTERVAL},
        "scrape_configs": [
            _job("shop", file_sd_configs=_found(folder, "pods.json")),
            _kubelets("nodes", INTERVAL, folder),
            _kubelets("cadvisor", RARELY, folder),
            _job("haproxy", static_configs=balancers),
            _static("apiserver", f"{api}:6443", interval=RARELY, scheme="https", tls_config=files),
            _static(
                "metrics-server", f"{api}:{metrics_server.PORT}", interval=RARELY, scheme="https", tls_config=files
            ),
            _static("cluster-autoscaler", f"{api}:{cluster_autoscaler.PORT}"),
            _static(
                "machine",
                f"{PROMETHEUS.address}:{EXPORTER_PORT}",
                relabel_configs=[{"target_label": "node", "replacement": "machine"}],
            ),
            _static("prometheus", f"{PROMETHEUS.address}:{PORT}", interval=RARELY),
        ],
    }


def _write(lab: Lab, folder: Path) -> None:
    """Configuration and credentials lie in *folder*, readable by Prometheus, which is not root."""
    certificates = pki.of(lab)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    sources = {
        "ca.pem": certificates.certificate(pki.CA),
        "cert.pem": certificates.certificate("prometheus"),
        "key.pem": certificates.key("prometheus"),
    }
    folder.chmod(0o700)
    for name, source in sources.items():
        shutil.copyfile(source, folder / name)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration(folder), sort_keys=False))
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, USER, USER)


def start(lab: Lab) -> None:
    """Prometheus answers queries; what it scrapes may come later, it looks for it by itself."""
    lab.hosts.add(PROMETHEUS)
    folder = lab.state / "parts" / "prometheus"
    _write(lab, folder)
    discovery.start(lab, folder)
    exporter = f"{PROMETHEUS.address}:{EXPORTER_PORT}"
    collectors = ("cpu", "meminfo", "pressure", "loadavg", "stat", "vmstat")
    lab.parts.start(
        Part(
            name="node-exporter",
            host=PROMETHEUS,
            user=USER,
            argv=(
                "prometheus-node-exporter",
                f"--web.listen-address={exporter}",
                "--collector.disable-defaults",
                *(f"--collector.{name}" for name in collectors),
            ),
            ready=http_ok(f"http://{exporter}/metrics"),
        )
    )
    lab.parts.start(
        Part(
            name="prometheus",
            host=PROMETHEUS,
            user=USER,
            cwd=folder,
            argv=(
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--storage.tsdb.retention.time={RETENTION}",
                f"--web.listen-address={PROMETHEUS.address}:{PORT}",
                "--query.lookback-delta=30s",
                "--log.level=warn",
            ),
            ready=http_ok(f"{URL}/-/ready"),
        )
    )
