"""Pods' logs are kept when they can be had, and their absence is recorded, never raised."""

from types import SimpleNamespace

import kubernetes.client
import pytest

from harness.observe import pod_logs
from harness.rundir import RunDir, read_lines


class Cluster:
    """Two pods, of which the second has no log any more."""

    def list_namespaced_pod(self, namespace, **_):
        if namespace == "closed":
            raise kubernetes.client.ApiException(status=403, reason="Forbidden")
        return SimpleNamespace(
            items=[
                SimpleNamespace(
                    metadata=SimpleNamespace(name=name, namespace=namespace),
                    spec=SimpleNamespace(containers=[SimpleNamespace(name="front")]),
                )
                for name in ("front-a", "front-b")
            ]
        )

    def read_namespaced_pod_log(self, name, namespace, **_):
        if name == "front-b":
            raise kubernetes.client.ApiException(status=404, reason="Not Found")
        return f"{namespace} {name} said this\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(pod_logs, "kubernetes_client", lambda _: None)
    monkeypatch.setattr(pod_logs.kubernetes.client, "CoreV1Api", lambda _: Cluster())
    run = RunDir(tmp_path / "run")
    run.make()
    return run


def target(*namespaces):
    return SimpleNamespace(kubernetes=SimpleNamespace(namespaces=namespaces))


def test_logs_are_kept_by_pod_and_the_missing_one_is_named(folder):
    pod_logs.fetch_pod_logs(target("shop"), folder, 0.0)

    assert (folder.logs / "pods" / "shop_front-a.log").read_text() == "shop front-a said this\n"
    (event,) = read_lines(folder.events)
    assert event["value"] == {"pods": 1, "missing": {"shop/front-b": "ApiException: Not Found"}}


def test_a_cluster_that_refuses_is_recorded_not_raised(folder):
    pod_logs.fetch_pod_logs(target("closed"), folder, 0.0)

    (event,) = read_lines(folder.events)
    assert event["value"] == {"pods": 0, "missing": {"*": "ApiException: Forbidden"}}
