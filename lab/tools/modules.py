"""The Go modules the lab is built from: which tools each holds, with which flags, and where their binaries go."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lab.tools.cache import cache

HERE = Path(__file__).parent
KUBERNETES_VERSION = "v1.36.3"


def _stamped(version: str) -> str:
    """Linker flags that make *version* what Kubernetes' programs say of themselves; clients that parse it need it."""
    major, minor, _ = version.removeprefix("v").split(".")
    stamp = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": version,
        "gitTreeState": "clean",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w", *(f"-X {package}.{key}={value}" for package in packages for key, value in stamp.items())])


@dataclass(frozen=True, slots=True)
class Module:
    """A folder with a go.mod; *tools* are package paths in the order in which the lab needs their programs."""

    folder: Path
    tools: tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Its programs' names: the last element of each package path, as `go build` has it."""
        return tuple(tool.rsplit("/", 1)[-1] for tool in self.tools)

    @property
    def binaries(self) -> Path:
        """The folder of its binaries: a function of go.mod, go.sum, the tools' flags and nothing else."""
        digest = hashlib.sha256()
        for text in ((self.folder / "go.mod").read_bytes(), (self.folder / "go.sum").read_bytes()):
            digest.update(hashlib.sha256(text).digest())
        digest.update("\0".join(self.flags).encode())
        return cache() / "bin" / digest.hexdigest()[:16]

    def missing(self) -> tuple[str, ...]:
        """The names of its programs that are not built yet, in order."""
        folder = self.binaries
        return tuple(name for name in self.names if not (folder / name).exists())


MODULES = (
    Module(
        folder=HERE / "kubernetes",
        tools=(
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "k8s.io/kubernetes/cmd/kubelet",
            "k8s.io/kubernetes/cmd/kube-proxy",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-scheduler",
            "github.com/coredns/coredns",
            "sigs.k8s.io/metrics-server/cmd/metrics-server",
        ),
        flags=("-trimpath", "-ldflags", _stamped(KUBERNETES_VERSION)),
    ),
    Module(
        folder=HERE / "autoscaler",
        tools=("k8s.io/autoscaler/cluster-autoscaler",),
        flags=("-trimpath", "-tags", "aws", "-ldflags", "-s -w"),
    ),
)


def module_of(name: str) -> Module | None:
    """The module that builds the program *name*; None where no module does."""
    return next((module for module in MODULES if name in module.names), None)


def missing() -> tuple[str, ...]:
    """Every program that is still to be built, in the order in which the lab needs them."""
    return tuple(name for module in MODULES for name in module.missing())
