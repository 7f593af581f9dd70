"""metrics-server: what the HPA knows of CPU, every 15 s as in production."""

from __future__ import annotations

from lab.context import APISERVER, Lab
from lab.hosts.interfaces import Part
from lab.kubernetes import apply, pki
from lab.kubernetes.answers import https_ok

PORT = 4443


def start(lab: Lab) -> None:
    """It answers, and the API server knows it as `metrics.k8s.io`; figures come with the nodes, two scrapes later."""
    certificates = pki.of(lab)
    kubeconfig = certificates.kubeconfig("metrics-server")
    authority = certificates.certificate(pki.CA)
    apply.apply(lab, apply.read(apply.MANIFESTS / "metrics-server.yaml"))
    lab.parts.start(
        Part(
            name="metrics-server",
            host=APISERVER,
            argv=(
                str(lab.binary("metrics-server")),
                f"--kubeconfig={kubeconfig}",
                f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}",
                f"--secure-port={PORT}",
                f"--tls-cert-file={certificates.certificate('metrics-server-serving')}",
                f"--tls-private-key-file={certificates.key('metrics-server-serving')}",
                f"--kubelet-certificate-authority={authority}",
                "--kubelet-preferred-address-types=InternalIP",
                "--metric-resolution=15s",
            ),
            # Not /readyz: that waits for figures, and there may be no node yet.
            ready=https_ok(f"https://{APISERVER.address}:{PORT}/livez", authority),
        )
    )
    apply.apply(lab, apply.service_of_host(_service(), APISERVER))
    apply.apply(lab, [_api_service(certificates)])


def _service() -> apply.Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "metrics-server", "namespace": "kube-system"},
        "spec": {"ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": PORT}]},
    }


def _api_service(certificates: pki.Pki) -> apply.Manifest:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "caBundle": pki.inline(certificates.certificate(pki.CA)),
            "service": {"name": "metrics-server", "namespace": "kube-system", "port": 443},
        },
    }
