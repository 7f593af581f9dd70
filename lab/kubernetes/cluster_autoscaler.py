"""
Cluster Autoscaler with its AWS provider, on the lab's cloud.

As in production: a scan every 10 s, groups found by tag, a node may take 15 minutes to join. Shortened, so that a
game-day can see a scale-down: a node is unneeded after 30 s (10 min) and scale-down rests 30 s after a scale-up (10 min).
"""

from __future__ import annotations

from lab.context import APISERVER, AWS, REGION, Lab
from lab.hosts.interfaces import Part
from lab.kubernetes import apply, pki
from lab.kubernetes.answers import http_ok

PORT = 8085
CLUSTER = "lab"
TAGS = ("k8s.io/cluster-autoscaler/enabled", f"k8s.io/cluster-autoscaler/{CLUSTER}")
UNNEEDED = "30s"
DELAY_AFTER_ADD = "30s"


def start(lab: Lab) -> None:
    """It runs; its first look at the cluster comes within a scan interval."""
    apply.apply(lab, apply.read(apply.MANIFESTS / "cluster-autoscaler.yaml"))
    folder = lab.state / "parts" / "cluster-autoscaler"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "cloud.conf"
    settings.write_text(cloud_config(f"http://{AWS.address}:5000"))
    lab.parts.start(
        Part(
            name="cluster-autoscaler",
            host=APISERVER,
            env={
                "AWS_REGION": REGION,
                "AWS_ACCESS_KEY_ID": "lab",
                "AWS_SECRET_ACCESS_KEY": "lab",
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            argv=(
                str(lab.binary("cluster-autoscaler")),
                f"--kubeconfig={pki.of(lab).kubeconfig('cluster-autoscaler')}",
                "--cloud-provider=aws",
                f"--cloud-config={settings}",
                "--aws-use-static-instance-list=true",
                f"--node-group-auto-discovery=asg:tag={TAGS[0]}",
                "--balance-similar-node-groups=true",
                "--expander=least-waste",
                "--scan-interval=10s",
                f"--scale-down-unneeded-time={UNNEEDED}",
                f"--scale-down-delay-after-add={DELAY_AFTER_ADD}",
                "--skip-nodes-with-system-pods=false",
                "--skip-nodes-with-local-storage=false",
                "--leader-elect=false",
                f"--address={APISERVER.address}:{PORT}",
                "--v=2",
            ),
            ready=http_ok(f"http://{APISERVER.address}:{PORT}/health-check"),
            ready_within=60,
        )
    )


def cloud_config(endpoint: str) -> str:
    """The provider's configuration: every service that it calls, at *endpoint*."""
    services = ("autoscaling", "ec2", "eks")
    blocks = [
        f'[ServiceOverride "{number}"]\nService = {service}\nRegion = {REGION}\nURL = {endpoint}\nSigningRegion = {REGION}\n'
        for number, service in enumerate(services, start=1)
    ]
    return "[Global]\n\n" + "\n".join(blocks)
