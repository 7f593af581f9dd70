"""Steady state probes: nothing to look at is never steady."""

from __future__ import annotations

from types import SimpleNamespace as Thing

import httpx
import pytest

from harness.chaos.probes import entrypoints
from harness.chaos.probes.deployments import unavailable
from harness.chaos.probes.entrypoints import entrypoint_answers
from harness.model.errors import TargetError


def deployment(name: str, *, status: str = "True", available: int | None = 1):
    conditions = [Thing(type="Available", status=status)]
    return Thing(metadata=Thing(name=name), status=Thing(conditions=conditions, available_replicas=available))


@pytest.mark.parametrize(
    ("items", "names", "wrong"),
    [
        ([deployment("front")], None, []),
        ([], None, ["namespace shop has no deployment"]),
        ([deployment("front")], ["back"], ["shop/back does not exist"]),
        ([deployment("front", status="False")], None, ["shop/front is not available"]),
        ([deployment("front", available=None)], None, ["shop/front is not available"]),
        ([deployment("front", status="False"), deployment("back")], ["back"], []),
    ],
)
def test_deployments_are_available_only_if_kubernetes_says_so_and_one_pod_is(items, names, wrong) -> None:
    assert unavailable(items, "shop", names) == wrong


CLIENT = httpx.Client


def answering(monkeypatch, statuses: dict[str, int]) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.host not in statuses:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(statuses[request.url.host])

    monkeypatch.setattr(
        entrypoints.httpx, "Client", lambda **more: CLIENT(transport=httpx.MockTransport(handle), **more)
    )
    monkeypatch.setattr(entrypoints, "target_of", lambda: Thing(entrypoints=("http://a", "http://b")))


def test_every_entrypoint_must_answer(monkeypatch) -> None:
    answering(monkeypatch, {"a": 200, "b": 204})
    assert entrypoint_answers("/x") is True
    answering(monkeypatch, {"a": 200, "b": 503})
    with pytest.raises(TargetError, match="http://b/x answers 503"):
        entrypoint_answers("/x")
    answering(monkeypatch, {"a": 200})
    with pytest.raises(TargetError, match="http://b/x: ConnectError: refused"):
        entrypoint_answers("/x")


def test_no_entrypoint_is_not_steady(monkeypatch) -> None:
    monkeypatch.setattr(entrypoints, "target_of", lambda: Thing(entrypoints=()))

    with pytest.raises(TargetError, match="no entrypoint"):
        entrypoint_answers()
