"""The lab's certificates: one authority for clients and servers, one for the front proxy, real dates, kubeconfigs."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.context import APISERVER, SERVICES, Lab

API_URL = f"https://{APISERVER.address}:6443"
CLUSTER_DOMAIN = "cluster.local"
AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
# A certificate with less than this left is issued anew: no run may outlive it.
LEAST_DAYS_LEFT = 30

CA = "ca"
FRONT_PROXY_CA = "front-proxy-ca"
FRONT_PROXY_CLIENT = "front-proxy-client"
SERVICE_ACCOUNT_KEY = "service-account"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate speaks for: *user* is its CN, *groups* its O, *names* the DNS names and addresses it serves."""

    user: str
    groups: Sequence[str] = ()
    names: Sequence[str] = field(default=())

    @property
    def serves(self) -> bool:
        """Whether it is for a server; one for a client has no names."""
        return bool(self.names)


API_NAMES = (
    "apiserver",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{CLUSTER_DOMAIN}",
    str(APISERVER.address),
    str(IPv4Address(int(SERVICES.network_address) + 1)),
    "127.0.0.1",
)
_METRICS_NAMES = ("metrics-server.kube-system.svc", "metrics-server.kube-system", str(APISERVER.address))

SERVERS = {
    "apiserver": Subject("kube-apiserver", names=API_NAMES),
    "control-plane": Subject("control-plane", names=("localhost", "127.0.0.1", str(APISERVER.address))),
    "metrics-server-serving": Subject("metrics-server", names=_METRICS_NAMES),
}
CLIENTS = {
    "admin": Subject("admin", ("system:masters",)),
    "apiserver-kubelet-client": Subject("kube-apiserver-kubelet-client", ("gameday:kubelet-clients",)),
    "controller-manager": Subject("system:kube-controller-manager"),
    "scheduler": Subject("system:kube-scheduler"),
    "kube-proxy": Subject("system:kube-proxy"),
    "cloud-node-lifecycle": Subject("cloud-node-lifecycle"),
    "coredns": Subject("coredns"),
    "metrics-server": Subject("metrics-server"),
    "cluster-autoscaler": Subject("cluster-autoscaler"),
    "prometheus": Subject("prometheus"),
    "gameday": Subject("gameday"),
}


@dataclass(frozen=True, slots=True)
class Pki:
    """The folder with the lab's certificates; every file is made once and made anew before it expires."""

    folder: Path

    def certificate(self, name: str) -> Path:
        """Where the certificate *name* lies (PEM)."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Where the private key *name* lies (PEM, readable by root only)."""
        return self.folder / f"{name}.key"

    def public_key(self, name: str) -> Path:
        """Where the public key *name* lies (PEM), for keys without a certificate."""
        return self.folder / f"{name}.pub"

    def kubeconfig(self, name: str) -> Path:
        """Where the kubeconfig of the client *name* lies; it holds its certificate and key."""
        return self.folder / f"{name}.kubeconfig"

    def issue(self, name: str, subject: Subject, authority: str = CA) -> None:
        """The certificate *name* for *subject* exists, is signed by *authority* and has a month left."""
        issuer = x509.load_pem_x509_certificate(self.certificate(authority).read_bytes())
        if self.key(name).exists() and _good(self.certificate(name), issuer):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        signer = serialization.load_pem_private_key(self.key(authority).read_bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101  we made it
        certificate = (
            _builder(subject, key.public_key(), issuer.subject, CERTIFICATE_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(subject), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if subject.serves:
            certificate = certificate.add_extension(_alternatives(subject.names), critical=False)
        self._write(name, key, certificate.sign(signer, hashes.SHA256()))

    def issue_client(self, name: str, subject: Subject) -> None:
        """The client *name* has a certificate and a kubeconfig."""
        self.issue(name, subject)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}],
            "clusters": [
                {
                    "name": "lab",
                    "cluster": {"server": API_URL, "certificate-authority-data": inline(self.certificate(CA))},
                }
            ],
            "users": [
                {
                    "name": name,
                    "user": {
                        "client-certificate-data": inline(self.certificate(name)),
                        "client-key-data": inline(self.key(name)),
                    },
                }
            ],
        }
        _write_private(self.kubeconfig(name), yaml.safe_dump(config).encode())

    def issue_authority(self, name: str, common_name: str) -> None:
        """The authority *name* exists; it signs itself."""
        if self.key(name).exists() and _good(self.certificate(name)):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = Subject(common_name)
        certificate = _builder(subject, key.public_key(), _name(subject), AUTHORITY_DAYS).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        certificate = certificate.add_extension(_signing(), critical=True)
        self._write(name, key, certificate.sign(key, hashes.SHA256()))

    def issue_all(self) -> None:
        """Everything that the control plane and its clients need exists; nodes come as they boot."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.issue_authority(CA, "gameday lab")
        self.issue_authority(FRONT_PROXY_CA, "gameday lab front proxy")
        self.issue(FRONT_PROXY_CLIENT, Subject("front-proxy-client"), FRONT_PROXY_CA)
        if not self.public_key(SERVICE_ACCOUNT_KEY).exists():
            signer = ec.generate_private_key(ec.SECP256R1())
            _write_private(self.key(SERVICE_ACCOUNT_KEY), _pem(signer))
            _write_private(self.public_key(SERVICE_ACCOUNT_KEY), _public_pem(signer.public_key()), mode=0o644)
        for name, subject in SERVERS.items():
            self.issue(name, subject)
        for name, subject in CLIENTS.items():
            self.issue_client(name, subject)

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        _write_private(self.key(name), _pem(key))
        _write_private(self.certificate(name), certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def of(lab: Lab) -> Pki:
    """The certificates of *lab*."""
    return Pki(lab.state / "pki")


def start(lab: Lab) -> None:
    """All certificates exist, and the harness's kubeconfig lies where the target file names it."""
    pki = of(lab)
    pki.issue_all()
    _write_private(lab.state / "kubeconfig", pki.kubeconfig("gameday").read_bytes())


def _good(path: Path, issuer: x509.Certificate | None = None) -> bool:
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    if certificate.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=LEAST_DAYS_LEFT):
        return False
    try:
        certificate.verify_directly_issued_by(issuer or certificate)
    except (InvalidSignature, ValueError):
        return False
    return True


def _name(subject: Subject) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in subject.groups]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, subject.user)])


def _builder(subject: Subject, key: ec.EllipticCurvePublicKey, issuer: x509.Name, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(subject: Subject) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.SERVER_AUTH if subject.serves else ExtendedKeyUsageOID.CLIENT_AUTH]
    )


def _signing() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [x509.IPAddress(ip_address(name)) if _is_address(name) else x509.DNSName(name) for name in names]
    )


def _is_address(name: str) -> bool:
    return name.replace(".", "").isdigit()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def inline(path: Path) -> str:
    """What *path* holds, as kubeconfigs and API objects carry it (base64)."""
    return base64.b64encode(path.read_bytes()).decode()


def _write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """*path* holds *content*, never half of it, and was never readable by others."""
    partial = path.with_name(f".{path.name}.new")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:  # noqa: PTH123  mode at birth
        file.write(content)
    partial.replace(path)
