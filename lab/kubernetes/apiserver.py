"""kube-apiserver, with RBAC, the node authorizer and the aggregation layer."""

from __future__ import annotations

from lab.context import APISERVER, SERVICES, Lab
from lab.hosts.interfaces import Part
from lab.kubernetes import etcd, pki
from lab.kubernetes.answers import https_ok


def start(lab: Lab) -> None:
    """The API server is ready: its own post-start hooks, RBAC's first roles among them, are through."""
    lab.hosts.add(APISERVER)
    lab.parts.start(
        Part(
            name="kube-apiserver",
            host=APISERVER,
            argv=(str(lab.binary("kube-apiserver")), *_flags(pki.of(lab))),
            ready=https_ok(f"{pki.API_URL}/readyz", pki.of(lab).certificate(pki.CA)),
            ready_within=90,
        )
    )


def _flags(certificates: pki.Pki) -> tuple[str, ...]:
    def pair(flag: str, key_flag: str, name: str) -> tuple[str, str]:
        return f"--{flag}={certificates.certificate(name)}", f"--{key_flag}={certificates.key(name)}"

    return (
        f"--etcd-servers={etcd.CLIENT_URL}",
        "--bind-address=0.0.0.0",
        "--secure-port=6443",
        f"--advertise-address={APISERVER.address}",
        f"--service-cluster-ip-range={SERVICES}",
        *pair("tls-cert-file", "tls-private-key-file", "apiserver"),
        f"--client-ca-file={certificates.certificate(pki.CA)}",
        *pair("kubelet-client-certificate", "kubelet-client-key", "apiserver-kubelet-client"),
        f"--kubelet-certificate-authority={certificates.certificate(pki.CA)}",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-account-issuer=https://kubernetes.default.svc.{pki.CLUSTER_DOMAIN}",
        f"--service-account-signing-key-file={certificates.key(pki.SERVICE_ACCOUNT_KEY)}",
        f"--service-account-key-file={certificates.public_key(pki.SERVICE_ACCOUNT_KEY)}",
        # The front proxy's certificate has a CN of its own: with the API server's, aggregated calls are refused.
        f"--requestheader-client-ca-file={certificates.certificate(pki.FRONT_PROXY_CA)}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        *pair("proxy-client-cert-file", "proxy-client-key-file", pki.FRONT_PROXY_CLIENT),
        # There is no kube-proxy on this host: aggregated calls go to the endpoint, not to the Service's address.
        "--enable-aggregator-routing=true",
        # It asks etcd to report its progress, which 3.4 cannot, and would wait for it in vain each second.
        "--feature-gates=SizeBasedListCostEstimate=false",
        "--profiling=false",
    )
