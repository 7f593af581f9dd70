"""Instances become nodes: a namespace with containerd, kubelet and kube-proxy each, that join the cluster by themselves."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from lab.context import DNS, SUBNETS, Lab
from lab.errors import LabError
from lab.hosts.cgroups import Cgroups
from lab.hosts.interfaces import Host, Instance, Part
from lab.kubernetes import images, pki, registry
from lab.kubernetes.answers import http_ok
from lab.kubernetes.node_config import (
    KERNEL_SETTINGS,
    KUBELET_HEALTH_PORT,
    Machine,
    NodeFolder,
    cni_conflist,
    containerd_toml,
    kube_proxy_config,
    kubelet_config,
    kubelet_flags,
    node_cgroup,
    node_name,
    registry_hosts_toml,
)

ROLES = ("machine", "containerd", "kubelet", "kube-proxy")


def part_name(instance_id: str, role: str) -> str:
    """The name of the part *role* of a node."""
    return f"{instance_id}-{role}"


class KubernetesNodes:
    """Makes EC2 instances real as nodes of the cluster; keeps no state of its own, so that it may be made anew."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._pki = pki.of(lab)
        self._cgroups = Cgroups.of_this_machine()

    def boot(self, instance: Instance) -> None:
        """The instance's machine runs; its kubelet registers the node within seconds, by itself."""
        folder = self._folder(instance.id)
        for place in (folder.config, *folder.bound().values()):
            place.mkdir(parents=True, exist_ok=True)
        self._issue(instance, folder)
        _write_files(instance, folder, self._pause)
        host = Host(instance.id, SUBNETS[instance.zone], instance.address, instance.pods)
        self._lab.hosts.add(host)
        # The kubelet wants its root in every hierarchy before it starts.
        self._cgroups.make(node_cgroup(instance.id))
        self._start_machine(host, folder)
        self._start_programs(instance, host, folder)

    def destroy(self, instance_id: str) -> None:
        """Everything that ran on the machine is dead, at once and without a word to the cluster; nothing is left of it."""
        group = node_cgroup(instance_id)
        self._cgroups.kill(group)
        known = {status.name for status in self._lab.parts.status()}
        for name in (part_name(instance_id, role) for role in reversed(ROLES)):
            if name in known:
                self._lab.parts.stop(name, kill=True)
        self._cgroups.kill(group)
        self._cgroups.remove(group)
        self._lab.hosts.remove(instance_id)
        shutil.rmtree(self._folder(instance_id).path, ignore_errors=True)

    def alive(self) -> frozenset[str]:
        """The instances whose machine runs: kubelet and containerd both."""
        running = {status.name for status in self._lab.parts.status() if status.state == "running"}
        return frozenset(
            name.removesuffix("-kubelet")
            for name in running
            if name.endswith("-kubelet") and part_name(name.removesuffix("-kubelet"), "containerd") in running
        )

    @cached_property
    def _pause(self) -> str:
        # Once, with the first node: a registry that fails later fails pulls, as it should, and not boots.
        return images.push_pause(self._lab)

    def _folder(self, instance_id: str) -> NodeFolder:
        return NodeFolder(self._lab.state / "nodes" / instance_id, self._lab.state / "logs" / "nodes" / instance_id)

    def _issue(self, instance: Instance, folder: NodeFolder) -> None:
        name = node_name(instance.id)
        authority = self._pki
        client, serving = f"node-{instance.id}", f"node-{instance.id}-serving"
        authority.issue_client(client, pki.Subject(f"system:node:{name}", ("system:nodes",)))
        authority.issue(serving, pki.Subject(f"system:node:{name}", ("system:nodes",), (name, str(instance.address))))
        files = {
            authority.kubeconfig(client): "kubelet.kubeconfig",
            authority.certificate(serving): "serving.crt",
            authority.key(serving): "serving.key",
            authority.certificate(pki.CA): "ca.crt",
            authority.kubeconfig("kube-proxy"): "kube-proxy.kubeconfig",
        }
        for source, target in files.items():
            shutil.copy(source, folder.config / target)

    def _start_machine(self, host: Host, folder: NodeFolder) -> None:
        """The node's mount namespace, held by a process that sleeps: when it dies, all of the node's mounts are gone."""
        marker = folder.path / "machine-is-up"
        marker.unlink(missing_ok=True)
        for fixed in folder.bound():
            Path(fixed).mkdir(parents=True, exist_ok=True)
        bound = {**folder.bound(), **_own_kernel_settings(folder)}
        binds = [f"mount --bind {shlex.quote(str(own))} {fixed}" for fixed, own in bound.items()]
        script = " && ".join([*binds, f"touch {shlex.quote(str(marker))}", "exec sleep infinity"])
        argv = ("unshare", "--mount", "--propagation", "private", "--", "sh", "-c", script)
        self._start("machine", host, argv, ready=marker.exists)

    def _start_programs(self, instance: Instance, host: Host, folder: NodeFolder) -> None:
        inside = ("nsenter", f"--mount=/proc/{self._machine_pid(instance.id)}/ns/mnt", "--")
        containerd = str(self._lab.binary("containerd"))
        kubelet = str(self._lab.binary("kubelet"))
        proxy = str(self._lab.binary("kube-proxy"))
        own = folder.config
        answering = _accepts(folder.path / "run" / "containerd" / "containerd.sock")
        self._start("containerd", host, (*inside, containerd, f"--config={own}/containerd.toml"), ready=answering)
        # Asked by its socket, not over the network: a machine in a cut-off zone runs all the same.
        serving = _accepts(folder.path / "kubelet" / "pod-resources" / "kubelet.sock")
        self._start("kubelet", host, (*inside, kubelet, *kubelet_flags(instance, folder)), ready=serving)
        self._start("kube-proxy", host, (*inside, proxy, f"--config={own}/kube-proxy.yaml"))

    def _start(self, role: str, host: Host, argv: Sequence[str], ready: Callable[[], bool] | None = None) -> None:
        self._lab.parts.start(
            Part(
                name=part_name(host.name, role),
                host=host,
                argv=tuple(argv),
                cgroup=f"{node_cgroup(host.name)}/{role}",
                ready=ready,
                ready_within=60,
            )
        )

    def _machine_pid(self, instance_id: str) -> int:
        name = part_name(instance_id, "machine")
        pid = next((status.pid for status in self._lab.parts.status() if status.name == name), None)
        if pid is None:
            raise LabError(f"{name} was started but has no process", hint=f"see {self._lab.state}/logs/{name}.log")
        return pid


def kubelet_healthy(instance: Instance) -> Callable[[], bool]:
    """A check that the instance's kubelet says it is well."""
    return http_ok(f"http://{instance.address}:{KUBELET_HEALTH_PORT}/healthz")


def this_machine() -> Machine:
    """What this machine has, as the kubelet will see it."""
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return Machine(cores=os.cpu_count() or 1, mebibytes=int(total.split()[1]) // 1024)


def _write_files(instance: Instance, folder: NodeFolder, pause: str) -> None:
    own = folder.config
    files = {
        "containerd.toml": containerd_toml(folder, pause),
        f"registries/{registry.ENDPOINT}/hosts.toml": registry_hosts_toml(registry.ENDPOINT),
        "cni/10-pods.conflist": cni_conflist(instance),
        "kubelet.yaml": kubelet_config(instance, folder, this_machine()),
        "kube-proxy.yaml": kube_proxy_config(instance, folder),
        "resolv.conf": f"nameserver {DNS.address}\n",
    }
    for name, content in files.items():
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_text(content)


def _own_kernel_settings(folder: NodeFolder) -> dict[str, Path]:
    """Fixed path → a file with what the machine has there; what the node writes stays in the file."""
    own = {f"/proc/sys/{name}": folder.path / "sysctl" / name for name in KERNEL_SETTINGS}
    for fixed, file in own.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(Path(fixed).read_text())
    return own


def _accepts(path: Path) -> Callable[[], bool]:
    def check() -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(path))
            except OSError:
                return False
            return True

    return check
