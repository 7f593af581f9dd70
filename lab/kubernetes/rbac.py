"""What the lab's users may do beyond the roles that Kubernetes brings: least rights, one manifest a user."""

from __future__ import annotations

from lab.context import Lab
from lab.kubernetes import apply


def start(lab: Lab) -> None:
    """The harness, Prometheus, the API server as the kubelets' client and the cloud's controller have their rights."""
    apply.apply(lab, apply.read(apply.MANIFESTS / "rbac.yaml"))
