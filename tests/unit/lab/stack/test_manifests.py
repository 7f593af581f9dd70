"""The shop's manifests say what the lab's sizing and a game-day's verdicts count on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lab.stack import manifests
from lab.stack.shop.settings import Settings, from_environment

DOCUMENTS = list(manifests.documents("registry/shop:1", "postgresql://shop:x@198.18.16.30/shop"))


def of_kind(kind: str) -> dict[str, Any]:
    return {d["metadata"]["name"]: d for d in DOCUMENTS if d["kind"] == kind}


def container(name: str) -> dict[str, Any]:
    pod = of_kind("Deployment")[name]["spec"]["template"]["spec"]
    assert len(pod["containers"]) == 1
    return dict(pod["containers"][0])


def millicores(quantity: str) -> int:
    assert quantity.endswith("m")
    return int(quantity[:-1])


@pytest.mark.parametrize("name", manifests.SERVICES)
def test_a_deployment_leaves_its_replicas_to_its_autoscaler(name: str) -> None:
    scaler = of_kind("HorizontalPodAutoscaler")[name]["spec"]

    assert "replicas" not in of_kind("Deployment")[name]["spec"]
    assert scaler["scaleTargetRef"]["name"] == name
    assert scaler["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}


@pytest.mark.parametrize("name", manifests.SERVICES)
def test_a_container_states_requests_below_limits_and_an_image(name: str) -> None:
    resources = container(name)["resources"]

    assert container(name)["image"] == "registry/shop:1"
    assert millicores(resources["requests"]["cpu"]) < millicores(resources["limits"]["cpu"])
    assert {"cpu", "memory"} == set(resources["requests"]) == set(resources["limits"])


def test_all_pods_at_their_most_need_more_nodes_than_there_are_at_first_but_not_more_than_may_come() -> None:
    node, request = 300, millicores(container("front")["resources"]["requests"]["cpu"])
    most = sum(each["spec"]["maxReplicas"] for each in of_kind("HorizontalPodAutoscaler").values())
    fit = node // request

    assert 3 * fit < most <= 9 * fit


@pytest.mark.parametrize("name", manifests.SERVICES)
def test_probes_ask_for_life_and_readiness_apart(name: str) -> None:
    probes = {kind: container(name)[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}

    assert probes == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}


@pytest.mark.parametrize("name", manifests.SERVICES)
def test_a_pod_has_time_for_all_that_its_end_takes(name: str) -> None:
    pod = of_kind("Deployment")[name]["spec"]["template"]["spec"]
    told = of_kind("ConfigMap")["resilience"]["data"]
    takes = container(name)["lifecycle"]["preStop"]["sleep"]["seconds"]
    takes += float(told["SHOP_DRAIN"]) + float(told["SHOP_DRAIN_WITHIN"])

    assert takes < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", manifests.SERVICES)
def test_pods_spread_over_zones_and_leave_a_lost_node_after_30_seconds(name: str) -> None:
    pod = of_kind("Deployment")[name]["spec"]["template"]["spec"]

    assert [each["topologyKey"] for each in pod["topologySpreadConstraints"]] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert {each["tolerationSeconds"] for each in pod["tolerations"]} == {30}


@pytest.mark.parametrize("name", manifests.SERVICES)
def test_a_disruption_budget_keeps_two_pods(name: str) -> None:
    budget = of_kind("PodDisruptionBudget")[name]["spec"]

    assert budget["minAvailable"] == 2
    assert budget["selector"] == of_kind("Deployment")[name]["spec"]["selector"]


def test_every_setting_given_to_the_pods_is_one_that_the_shop_reads() -> None:
    told = {**of_kind("ConfigMap")["resilience"]["data"], **of_kind("ConfigMap")["addresses"]["data"]}
    for name in manifests.SERVICES:
        told |= {each["name"]: each.get("value", "") for each in container(name)["env"]}

    assert {name.removeprefix("SHOP_").lower() for name in told} <= set(Settings.__slots__)
    numbers = of_kind("ConfigMap")["resilience"]["data"]
    assert from_environment(numbers).attempt_timeout < from_environment(numbers).call_timeout


def test_settings_that_cannot_be_read_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="SHOP_RETRIES='two' is not a int"):
        from_environment({"SHOP_RETRIES": "two"})


def deployment(**status: int | None) -> Any:
    known: dict[str, Any] = {"observed_generation": 1, "updated_replicas": 3, "available_replicas": 3, **status}
    return SimpleNamespace(
        metadata=SimpleNamespace(name="front", generation=1),
        spec=SimpleNamespace(replicas=1),
        status=SimpleNamespace(**known),
    )


def test_a_deployment_is_available_with_all_the_pods_that_its_autoscaler_wants_at_least() -> None:
    assert manifests.unavailable(deployment(), 3) == ""
    assert manifests.unavailable(deployment(available_replicas=1), 3).startswith("front: 1 of 3 pods available")
    assert "not looked at" in manifests.unavailable(deployment(observed_generation=None), 3)


def test_a_pod_that_is_not_ready_tells_what_it_waits_for() -> None:
    waiting = SimpleNamespace(reason="ImagePullBackOff", message="no route to host")
    state, last = SimpleNamespace(waiting=waiting), SimpleNamespace(terminated=None)
    pod = SimpleNamespace(
        metadata=SimpleNamespace(name="front-1"),
        status=SimpleNamespace(
            phase="Pending", conditions=[], container_statuses=[SimpleNamespace(state=state, last_state=last)]
        ),
    )

    assert manifests.pod_troubles([pod]) == ["front-1 Pending: ImagePullBackOff no route to host"]
