"""etcd: the cluster's store, in memory, for a lab keeps nothing over a restart and a shared disk makes raft lose leaders."""

from __future__ import annotations

import os
import subprocess

from lab.context import APISERVER, Lab
from lab.hosts.interfaces import Part
from lab.kubernetes.answers import http_ok

CLIENT_URL = "http://127.0.0.1:2379"
PEER_URL = "http://127.0.0.1:2380"
METRICS_URL = f"http://{APISERVER.address}:2381"


def start(lab: Lab) -> None:
    """Etcd answers; its data lies on a tmpfs below the lab's state."""
    data = lab.state / "parts" / "etcd"
    data.mkdir(parents=True, exist_ok=True)
    if not os.path.ismount(data):
        options = "size=1g,mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "gameday-etcd", str(data)], check=True)
    lab.hosts.add(APISERVER)
    lab.parts.start(
        Part(
            name="etcd",
            host=APISERVER,
            argv=(
                str(lab.binary("etcd")),
                f"--data-dir={data / 'data'}",
                # Only the API server's host can reach its loopback; the metrics are for all.
                f"--listen-client-urls={CLIENT_URL}",
                f"--advertise-client-urls={CLIENT_URL}",
                f"--listen-peer-urls={PEER_URL}",
                f"--initial-advertise-peer-urls={PEER_URL}",
                f"--initial-cluster=default={PEER_URL}",
                f"--listen-metrics-urls={METRICS_URL}",
                # The defaults (100, 1000 ms) cost elections when two cores are busy.
                "--heartbeat-interval=250",
                "--election-timeout=2500",
                "--log-level=warn",
            ),
            ready=http_ok(f"{METRICS_URL}/health"),
        )
    )
