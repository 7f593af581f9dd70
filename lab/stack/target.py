"""The target file: all that the harness knows of this lab, written when the lab can take a game-day."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import yaml
from kubernetes import client

from lab.cloud import seed
from lab.cloud.component import CREDENTIALS, ENDPOINT
from lab.context import BALANCERS, REGION, ZONES, Lab
from lab.errors import LabError
from lab.kubernetes import apply
from lab.stack import manifests, prometheus
from lab.stack.awaiting import still_missing

HEADER = """\
# Written by `lab up`; the harness knows nothing else of this lab.
# For a stack on AWS write such a file by hand: leave out endpoint_url, and name your own kubeconfig and profile.
"""
ENTRYPOINTS = tuple(f"http://{host.address}" for host in BALANCERS)
# metrics-server needs two of its 15 s rounds after the pods' start before an autoscaler knows anything.
READY_WITHIN = 180.0
PATIENCE = 2.0


class LabNotReady(LabError):
    """Something that a game-day needs is missing although every part runs."""


def document(state: Path) -> dict[str, Any]:
    """The target file's content for the lab whose state is in *state*."""
    return {
        "version": 1,
        "name": "lab",
        "kubernetes": {"kubeconfig": str(state / "kubeconfig"), "namespaces": [manifests.NAMESPACE]},
        "aws": {
            "region": REGION,
            "endpoint_url": ENDPOINT,
            "credentials": {"shared_credentials_file": str(state / CREDENTIALS), "profile": seed.PROFILE},
            "tags": {seed.ALLOWED["Key"]: seed.ALLOWED["Value"]},
            "autoscaling_groups": [seed.group_name(zone) for zone in ZONES],
        },
        "prometheus": {"url": prometheus.URL},
        "entrypoints": list(ENTRYPOINTS),
        "responses": {"zone_header": "x-zone", "pod_header": "x-pod"},
    }


def _missing_entrypoints(http: httpx.Client) -> list[str]:
    found = []
    for url in ENTRYPOINTS:
        try:
            answer = http.get(f"{url}/products")
        except httpx.TransportError as error:
            found.append(f"{url}: {type(error).__name__} {error}")
            continue
        if answer.status_code != httpx.codes.OK or not answer.headers.get("x-zone"):
            found.append(f"{url}: status {answer.status_code}, zone {answer.headers.get('x-zone')!r}")
    return found


def _missing_targets(http: httpx.Client) -> list[str]:
    try:
        scraped = http.get(f"{prometheus.URL}/api/v1/targets", params={"state": "active"}).json()["data"]
    except httpx.TransportError as error:
        return [f"Prometheus: {type(error).__name__} {error}"]
    active = scraped["activeTargets"]
    wanted = {job["job_name"] for job in prometheus.configuration(Path())["scrape_configs"]}
    absent = wanted - {target["labels"]["job"] for target in active}
    down = [target for target in active if target["health"] != "up"]
    return [f"Prometheus finds nothing for job {job}" for job in sorted(absent)] + [
        f"Prometheus: {target['scrapeUrl']}: {target['lastError'] or 'not scraped yet'}" for target in down
    ]


def _missing_autoscalers(lab: Lab) -> list[str]:
    scalers = client.AutoscalingV2Api(apply.api(lab)).list_namespaced_horizontal_pod_autoscaler(manifests.NAMESPACE)
    found = []
    for scaler in scalers.items:
        active = next((c for c in scaler.status.conditions or [] if c.type == "ScalingActive"), None)
        if active is None or active.status != "True":
            found.append(f"HPA {scaler.metadata.name}: {active.message if active else 'not looked at yet'}")
    return found


def start(lab: Lab) -> None:
    """Users are served in both zones, autoscalers see CPU, Prometheus sees all; the target file says where."""
    lab.say("waiting for entrypoints, autoscalers and Prometheus")
    with httpx.Client(timeout=PATIENCE, trust_env=False) as http:
        missing = still_missing(
            lambda: _missing_entrypoints(http) + _missing_targets(http) + _missing_autoscalers(lab), READY_WITHIN
        )
    if missing:
        raise LabNotReady(
            f"after {READY_WITHIN:.0f} s the lab still lacks:\n" + "\n".join(missing),
            hint=f"see {lab.state}/logs, and `lab status`",
        )
    write(lab.settings.target_file, lab.state)
    lab.say(f"target file: {lab.settings.target_file}")


def write(file: Path, state: Path) -> None:
    """*file* is the target file of the lab in *state*, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.new")
    unfinished.write_text(HEADER + yaml.safe_dump(document(state), sort_keys=False))
    os.replace(unfinished, file)  # noqa: PTH105 - atomic, over what is there
