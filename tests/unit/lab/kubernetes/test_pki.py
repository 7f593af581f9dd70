"""Who the lab's certificates speak for, who signed them, and until when."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.kubernetes import pki
from lab.kubernetes.pki import Pki, Subject


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.issue_all()
    return made


def certificate(of: Pki, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(of.certificate(name).read_bytes())


@pytest.mark.parametrize("name", [*pki.SERVERS, *pki.CLIENTS])
def test_servers_and_clients_are_signed_by_the_lab_s_authority(issued: Pki, name: str) -> None:
    certificate(issued, name).verify_directly_issued_by(certificate(issued, pki.CA))


def test_the_front_proxy_has_an_authority_and_a_name_of_its_own(issued: Pki) -> None:
    client = certificate(issued, pki.FRONT_PROXY_CLIENT)
    client.verify_directly_issued_by(certificate(issued, pki.FRONT_PROXY_CA))
    with pytest.raises(ValueError, match="match"):
        client.verify_directly_issued_by(certificate(issued, pki.CA))
    assert client.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "front-proxy-client"


@pytest.mark.parametrize("address", ["198.18.1.10", "198.19.0.1", "127.0.0.1"])
def test_the_api_server_is_known_by_each_of_its_addresses(issued: Pki, address: str) -> None:
    names = certificate(issued, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert address in {str(each) for each in names.get_values_for_type(x509.IPAddress)}


def test_the_api_server_is_known_by_the_service_s_names(issued: Pki) -> None:
    names = certificate(issued, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = set(names.get_values_for_type(x509.DNSName))
    assert {"kubernetes", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "apiserver"} <= known


def test_a_client_s_certificate_serves_nobody(issued: Pki) -> None:
    usage = certificate(issued, "gameday").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_only_the_admin_is_a_master(issued: Pki) -> None:
    masters = [
        name
        for name in pki.CLIENTS
        for group in certificate(issued, name).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if group.value == "system:masters"
    ]
    assert masters == ["admin"]


def test_a_kubelet_s_user_and_group_are_what_the_node_authorizer_wants(issued: Pki) -> None:
    issued.issue_client("node-i-1", Subject("system:node:i-1.ec2.internal", ("system:nodes",)))
    subject = certificate(issued, "node-i-1").subject.rfc4514_string()
    assert subject == "CN=system:node:i-1.ec2.internal,O=system:nodes"


@pytest.mark.parametrize("name", [*pki.SERVERS, *pki.CLIENTS, pki.FRONT_PROXY_CLIENT])
def test_certificates_end_within_a_year(issued: Pki, name: str) -> None:
    left = certificate(issued, name).not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=364) < left <= timedelta(days=365)


def test_issuing_twice_changes_no_certificate(issued: Pki) -> None:
    before = {path: path.read_bytes() for path in issued.folder.glob("*.crt")}
    issued.issue_all()
    assert {path: path.read_bytes() for path in issued.folder.glob("*.crt")} == before


def test_a_certificate_that_soon_ends_is_issued_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Pki(tmp_path)
    made.issue_authority(pki.CA, "test")
    monkeypatch.setattr(pki, "CERTIFICATE_DAYS", pki.LEAST_DAYS_LEFT - 1)
    made.issue("short", Subject("short"))
    short = made.certificate("short").read_bytes()
    monkeypatch.undo()
    made.issue("short", Subject("short"))
    assert made.certificate("short").read_bytes() != short


def test_a_certificate_of_another_authority_is_issued_anew(tmp_path: Path) -> None:
    made = Pki(tmp_path)
    made.issue_authority(pki.CA, "first")
    made.issue("leaf", Subject("leaf"))
    made.certificate(pki.CA).unlink()
    made.issue_authority(pki.CA, "second")
    made.issue("leaf", Subject("leaf"))
    certificate(made, "leaf").verify_directly_issued_by(certificate(made, pki.CA))


def test_private_keys_and_kubeconfigs_are_root_s_alone(issued: Pki) -> None:
    secrets = [*issued.folder.glob("*.key"), *issued.folder.glob("*.kubeconfig")]
    assert secrets
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_a_kubeconfig_needs_no_other_file(issued: Pki) -> None:
    config = yaml.safe_load(issued.kubeconfig("gameday").read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://198.18.1.10:6443"
    held = base64.b64decode(config["users"][0]["user"]["client-certificate-data"])
    assert held == issued.certificate("gameday").read_bytes()
