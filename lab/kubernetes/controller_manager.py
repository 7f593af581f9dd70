"""kube-controller-manager, with production's timing: HPA every 15 s, a node is lost after 50 s of silence."""

from __future__ import annotations

from lab.context import APISERVER, Lab
from lab.hosts.interfaces import Part
from lab.kubernetes import pki
from lab.kubernetes.answers import https_ok

PORT = 10257


def start(lab: Lab) -> None:
    """The controllers run; those of a cloud (routes, node addresses) do not, for addresses are the cloud's business."""
    certificates = pki.of(lab)
    authority = certificates.certificate(pki.CA)
    kubeconfig = certificates.kubeconfig("controller-manager")
    lab.parts.start(
        Part(
            name="kube-controller-manager",
            host=APISERVER,
            argv=(
                str(lab.binary("kube-controller-manager")),
                f"--kubeconfig={kubeconfig}",
                f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}",
                "--bind-address=0.0.0.0",
                f"--secure-port={PORT}",
                f"--tls-cert-file={certificates.certificate('control-plane')}",
                f"--tls-private-key-file={certificates.key('control-plane')}",
                f"--root-ca-file={authority}",
                f"--service-account-private-key-file={certificates.key(pki.SERVICE_ACCOUNT_KEY)}",
                f"--cluster-signing-cert-file={authority}",
                f"--cluster-signing-key-file={certificates.key(pki.CA)}",
                "--use-service-account-credentials=true",
                "--allocate-node-cidrs=false",
                # What verdicts about the HPA and about lost nodes hang on, said aloud: these are the defaults.
                "--horizontal-pod-autoscaler-sync-period=15s",
                "--horizontal-pod-autoscaler-downscale-stabilization=5m",
                "--node-monitor-period=5s",
                "--node-monitor-grace-period=50s",
                # One instance: an election would only cost writes.
                "--leader-elect=false",
                "--profiling=false",
            ),
            ready=https_ok(f"https://{APISERVER.address}:{PORT}/healthz", authority),
            ready_within=60,
        )
    )
