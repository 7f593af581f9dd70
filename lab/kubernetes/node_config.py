"""What a node's programs are configured with: pure functions from the instance to the files' content."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.context import REGION, SERVICES
from lab.hosts.interfaces import Instance
from lab.kubernetes.pki import CLUSTER_DOMAIN

# A node is as small as the smallest instance type that pods of the stack fill by five.
ALLOCATABLE_MILLICORES = 300
ALLOCATABLE_MEBIBYTES = 1228
EVICTION_MEBIBYTES = 64
MAX_PODS = 11
INSTANCE_TYPE = "t3.small"
GROUP_LABEL = "eks.amazonaws.com/nodegroup"
CLUSTER_DNS = str(SERVICES.network_address + 10)

KUBELET_PORT = 10250
KUBELET_HEALTH_PORT = 10248
PROXY_HEALTH_PORT = 10256
PROXY_METRICS_PORT = 10249


@dataclass(frozen=True, slots=True)
class Machine:
    """What the kubelet will find on this machine, of which all but the allocatable part is reserved."""

    cores: int
    mebibytes: int


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """Where a node keeps its files; what must lie at a fixed path is bound there in the node's mount namespace."""

    path: Path
    # Outlives the machine: what a terminated instance's containers said is evidence.
    logs: Path

    @property
    def config(self) -> Path:
        """Configuration, certificates and kubeconfigs."""
        return self.path / "config"

    def bound(self) -> dict[str, Path]:
        """Fixed path → folder of the node that lies there for the node's own programs."""
        return {
            "/run": self.path / "run",
            "/var/log": self.logs,
            "/var/lib/kubelet": self.path / "kubelet",
            "/var/lib/containerd": self.path / "containerd",
            "/var/lib/cni": self.path / "cni",
        }


# The kernel settings that a kubelet makes its own: on a machine that is more than a node it gets files instead.
KERNEL_SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def node_name(instance_id: str) -> str:
    """The name of the instance's Node object, as EC2's resource names have it."""
    return f"{instance_id}.ec2.internal"


def provider_id(instance: Instance) -> str:
    """How the cloud and the Cluster Autoscaler know the node."""
    return f"aws:///{instance.zone}/{instance.id}"


def node_cgroup(instance_id: str) -> str:
    """The node's cgroup, relative to the lab's own."""
    return f"nodes/{instance_id}"


def node_labels(instance: Instance) -> dict[str, str]:
    """The labels that a node on EKS has, and the instance's own."""
    return {
        "topology.kubernetes.io/zone": instance.zone,
        "topology.kubernetes.io/region": REGION,
        "node.kubernetes.io/instance-type": INSTANCE_TYPE,
        GROUP_LABEL: instance.group,
        **instance.labels,
    }


def containerd_toml(folder: NodeFolder, pause: str) -> str:
    """The container runtime: only the plugins that a node needs, networking by CNI, images over plain HTTP."""
    return f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
required_plugins = ["io.containerd.grpc.v1.cri"]
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.native", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# There is no CAP_SYS_RESOURCE here, so a container's score may not be lower than containerd's own.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
discard_unpacked_layers = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{folder.config}/cni"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder.config}/registries"
"""


def registry_hosts_toml(registry: str) -> str:
    """That *registry* (`host:port`) speaks plain HTTP."""
    return f'server = "http://{registry}"\n[host."http://{registry}"]\ncapabilities = ["pull", "resolve"]\n'


def cni_conflist(instance: Instance) -> str:
    """
    Pods are routed, not bridged, as with the AWS VPC CNI: each has a veth and a host route.

    So traffic between two pods of a node passes the node's netfilter too, and Services work between them.
    """
    plugin: dict[str, Any] = {
        "type": "ptp",
        "ipMasq": False,
        "mtu": 1500,
        "ipam": {
            "type": "host-local",
            "dataDir": "/var/lib/cni/networks",
            "ranges": [[{"subnet": str(instance.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [plugin]}, indent=1)


def kubelet_config(instance: Instance, folder: NodeFolder, machine: Machine) -> str:
    """The kubelet's configuration; timings that a verdict hangs on are production's."""
    reserved = machine.mebibytes - ALLOCATABLE_MEBIBYTES - EVICTION_MEBIBYTES
    document: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(instance.address),
        "port": KUBELET_PORT,
        "readOnlyPort": 0,
        "healthzBindAddress": str(instance.address),
        "healthzPort": KUBELET_HEALTH_PORT,
        "providerID": provider_id(instance),
        "tlsCertFile": str(folder.config / "serving.crt"),
        "tlsPrivateKeyFile": str(folder.config / "serving.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(folder.config / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [CLUSTER_DNS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(folder.config / "resolv.conf"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "volumePluginDir": str(folder.config / "volume-plugins"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/gameday/{node_cgroup(instance.id)}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "maxPods": MAX_PODS,
        "systemReserved": {"cpu": f"{machine.cores * 1000 - ALLOCATABLE_MILLICORES}m", "memory": f"{reserved}Mi"},
        "enforceNodeAllocatable": ["pods"],
        # The disk is this machine's own: its filling up is not a node's.
        "evictionHard": {
            "memory.available": f"{EVICTION_MEBIBYTES}Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "cpuCFSQuota": True,
        "nodeStatusUpdateFrequency": "10s",
        "serializeImagePulls": True,
        "registryPullQPS": 5,
        "shutdownGracePeriod": "0s",
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 2,
    }
    return yaml.safe_dump(document, sort_keys=False)


def kube_proxy_config(instance: Instance, folder: NodeFolder) -> str:
    """kube-proxy on nftables; it leaves the machine's connection tracking limits alone, for it may not raise them."""
    document: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": str(instance.address),
        "healthzBindAddress": f"{instance.address}:{PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"{instance.address}:{PROXY_METRICS_PORT}",
        "hostnameOverride": node_name(instance.id),
        "clientConnection": {"kubeconfig": str(folder.config / "kube-proxy.kubeconfig")},
        "mode": "nftables",
        "clusterCIDR": str(instance.pods),
        "detectLocalMode": "ClusterCIDR",
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    return yaml.safe_dump(document, sort_keys=False)


def kubelet_flags(instance: Instance, folder: NodeFolder) -> tuple[str, ...]:
    """What the kubelet takes only as flags."""
    labels = ",".join(f"{key}={value}" for key, value in sorted(node_labels(instance).items()))
    return (
        f"--config={folder.config}/kubelet.yaml",
        f"--kubeconfig={folder.config}/kubelet.kubeconfig",
        f"--hostname-override={node_name(instance.id)}",
        f"--node-ip={instance.address}",
        f"--node-labels={labels}",
        "--root-dir=/var/lib/kubelet",
        f"--cert-dir={folder.config}",
    )
