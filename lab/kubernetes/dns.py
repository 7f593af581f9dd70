"""The cluster's DNS: CoreDNS on a host of the control subnet, behind the Service kube-system/kube-dns."""

from __future__ import annotations

from lab.context import DNS, Lab
from lab.hosts.interfaces import Part
from lab.kubernetes import apply, pki
from lab.kubernetes.answers import http_ok
from lab.kubernetes.node_config import CLUSTER_DNS

READY_PORT = 8181
METRICS_PORT = 9153


def start(lab: Lab) -> None:
    """Names below cluster.local resolve, both here and at the Service's address."""
    apply.apply(lab, apply.read(apply.MANIFESTS / "dns.yaml"))
    apply.apply(lab, apply.service_of_host(_service(), DNS))
    folder = lab.state / "parts" / "dns"
    folder.mkdir(parents=True, exist_ok=True)
    corefile = folder / "Corefile"
    corefile.write_text(_corefile(lab))
    lab.hosts.add(DNS)
    lab.parts.start(
        Part(
            name="coredns",
            host=DNS,
            argv=(str(lab.binary("coredns")), "-conf", str(corefile)),
            ready=http_ok(f"http://{DNS.address}:{READY_PORT}/ready"),
        )
    )


def _service() -> apply.Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {
            "clusterIP": CLUSTER_DNS,
            "ports": [
                {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 53},
                {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": 53},
            ],
        },
    }


def _corefile(lab: Lab) -> str:
    # There is no forward: nothing outside the lab has a name in it, and a query must not leave it.
    return f"""\
.:53 {{
    bind {DNS.address}
    errors
    health {DNS.address}:8080
    ready {DNS.address}:{READY_PORT}
    kubernetes {pki.CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {pki.of(lab).kubeconfig("coredns")} lab
        pods insecure
        ttl 5
    }}
    prometheus {DNS.address}:{METRICS_PORT}
    cache 5
    loadbalance
}}
"""
