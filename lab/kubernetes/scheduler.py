"""kube-scheduler, as it comes."""

from __future__ import annotations

from lab.context import APISERVER, Lab
from lab.hosts.interfaces import Part
from lab.kubernetes import pki
from lab.kubernetes.answers import https_ok

PORT = 10259


def start(lab: Lab) -> None:
    """Pods are given nodes."""
    certificates = pki.of(lab)
    kubeconfig = certificates.kubeconfig("scheduler")
    lab.parts.start(
        Part(
            name="kube-scheduler",
            host=APISERVER,
            argv=(
                str(lab.binary("kube-scheduler")),
                f"--kubeconfig={kubeconfig}",
                f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}",
                "--bind-address=0.0.0.0",
                f"--secure-port={PORT}",
                f"--tls-cert-file={certificates.certificate('control-plane')}",
                f"--tls-private-key-file={certificates.key('control-plane')}",
                "--leader-elect=false",
                "--profiling=false",
            ),
            ready=https_ok(f"https://{APISERVER.address}:{PORT}/healthz", certificates.certificate(pki.CA)),
            ready_within=60,
        )
    )
