"""What a node's programs are told: the size of the instance, its identity, its pods' network."""

from __future__ import annotations

import json
import tomllib
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.hosts.interfaces import Instance
from lab.kubernetes import node_config
from lab.kubernetes.node_config import Machine, NodeFolder

INSTANCE = Instance(
    "i-1", "us-east-1b", "workers-us-east-1b", IPv4Address("198.18.32.100"), IPv4Network("198.18.33.64/26"), {"a": "b"}
)
FOLDER = NodeFolder(Path("/state/nodes/i-1"), Path("/state/logs/nodes/i-1"))


def kubelet(machine: Machine = Machine(2, 24000)) -> dict[str, Any]:  # noqa: B008  frozen
    document: dict[str, Any] = yaml.safe_load(node_config.kubelet_config(INSTANCE, FOLDER, machine))
    return document


@given(cores=st.integers(1, 256), mebibytes=st.integers(2000, 2_000_000))
def test_what_is_left_for_pods_is_the_same_on_every_machine(cores: int, mebibytes: int) -> None:
    config = kubelet(Machine(cores, mebibytes))
    reserved = config["systemReserved"]
    eviction = int(config["evictionHard"]["memory.available"].removesuffix("Mi"))
    assert cores * 1000 - int(reserved["cpu"].removesuffix("m")) == 300
    assert mebibytes - int(reserved["memory"].removesuffix("Mi")) - eviction == 1228


def test_the_node_is_known_to_the_cloud_by_its_instance() -> None:
    assert kubelet()["providerID"] == "aws:///us-east-1b/i-1"


def test_the_node_s_containers_stay_in_its_own_cgroup() -> None:
    assert kubelet()["cgroupRoot"] == "/gameday/nodes/i-1"


def test_the_kubelet_lets_nobody_in_unasked() -> None:
    config = kubelet()
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert config["authorization"]["mode"] == "Webhook"
    assert config["readOnlyPort"] == 0


def test_timings_that_verdicts_hang_on_are_production_s() -> None:
    assert kubelet()["nodeStatusUpdateFrequency"] == "10s"
    assert kubelet()["cpuCFSQuota"] is True


def test_the_node_bears_zone_group_and_its_own_labels() -> None:
    flags = node_config.kubelet_flags(INSTANCE, FOLDER)
    labels = next(flag for flag in flags if flag.startswith("--node-labels=")).removeprefix("--node-labels=").split(",")
    assert {
        "topology.kubernetes.io/zone=us-east-1b",
        "topology.kubernetes.io/region=us-east-1",
        "eks.amazonaws.com/nodegroup=workers-us-east-1b",
        "a=b",
    } <= set(labels)


def test_pods_get_addresses_of_the_instance_s_network_and_keep_them_outside() -> None:
    plugin = json.loads(node_config.cni_conflist(INSTANCE))["plugins"][0]
    assert plugin["ipam"]["ranges"] == [[{"subnet": "198.18.33.64/26"}]]
    assert plugin["ipMasq"] is False


def test_kube_proxy_asks_for_no_limit_that_it_may_not_raise() -> None:
    config = yaml.safe_load(node_config.kube_proxy_config(INSTANCE, FOLDER))
    assert config["mode"] == "nftables"
    assert config["conntrack"] == {
        "maxPerCore": 0,
        "min": 0,
        "tcpEstablishedTimeout": "0s",
        "tcpCloseWaitTimeout": "0s",
    }


def test_containerd_is_configured_in_valid_toml_and_does_not_start_without_its_kubernetes_side() -> None:
    config = tomllib.loads(node_config.containerd_toml(FOLDER, "198.18.1.12:5000/pause:1"))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert config["required_plugins"] == ["io.containerd.grpc.v1.cri"]
    assert cri["sandbox_image"] == "198.18.1.12:5000/pause:1"
    assert cri["restrict_oom_score_adj"] is True
    assert cri["registry"]["config_path"] == "/state/nodes/i-1/config/registries"


def test_the_registry_is_spoken_to_without_tls() -> None:
    hosts = tomllib.loads(node_config.registry_hosts_toml("198.18.1.12:5000"))
    assert hosts["host"]["http://198.18.1.12:5000"]["capabilities"] == ["pull", "resolve"]


@pytest.mark.parametrize("fixed", ["/run", "/var/log", "/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni"])
def test_no_two_nodes_share_what_lies_at_a_fixed_path(fixed: str) -> None:
    other = NodeFolder(Path("/state/nodes/i-2"), Path("/state/logs/nodes/i-2"))
    assert FOLDER.bound()[fixed] != other.bound()[fixed]
