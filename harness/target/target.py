"""The target file: all that the harness knows of a stack. Read, checked, and turned into frozen types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """How the Kubernetes API is reached, and the namespaces that faults may act in."""

    kubeconfig: str
    namespaces: tuple[str, ...]
    context: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where AWS credentials are found; never the credentials themselves. Empty: boto3's own chain."""

    shared_credentials_file: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Aws:
    """How the AWS API is reached; only what bears all of *tags* may be harmed."""

    region: str
    tags: Mapping[str, str]
    endpoint_url: str | None = None
    credentials: Credentials = field(default_factory=Credentials)
    autoscaling_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A stack to test, by its doors."""

    name: str
    file: Path
    kubernetes: Kubernetes
    entrypoints: tuple[str, ...]
    aws: Aws | None = None
    prometheus: str | None = None
    zone_header: str | None = None
    pod_header: str | None = None

    def summary(self) -> dict[str, object]:
        """What the record says of the target: doors, no secrets."""
        return {
            "name": self.name,
            "file": self.file.name,
            "kubernetes": {"namespaces": list(self.kubernetes.namespaces), "context": self.kubernetes.context},
            "aws": None
            if self.aws is None
            else {
                "region": self.aws.region,
                "endpoint_url": self.aws.endpoint_url,
                "tags": dict(self.aws.tags),
                "autoscaling_groups": list(self.aws.autoscaling_groups),
            },
            "prometheus": self.prometheus,
            "entrypoints": list(self.entrypoints),
        }
