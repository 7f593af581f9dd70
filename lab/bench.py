"""`make bench`: how long the lab and the judge take, as JSON; each figure with what it was measured on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import kubernetes.client
import kubernetes.config

from lab.context import REGION, STATE
from lab.kubernetes.images import PYTHON
from lab.tools.cache import cache

PROGRAMS = Path(sys.executable).parent
GROUP = "workers-us-east-1a"
SAMPLES = Path("reports/sample")
WITHIN = 180.0


def main() -> int:
    """Measure all, print one JSON document, leave the lab down."""
    figures: dict[str, Any] = {}
    _lab("down")
    _forget_images()
    figures["lab_up_cold_seconds"] = _timed(lambda: _lab("up", "--quiet"))
    _lab("down")
    figures["lab_up_warm_seconds"] = _timed(lambda: _lab("up", "--quiet"))
    figures["node_join"] = _node_join()
    _lab("down")
    figures["judge_seconds"] = {run.name: _timed(_judging(run)) for run in sorted(SAMPLES.glob("*/"))}
    figures["notes"] = "cold: programs built, images not; warm: both cached. node_join counts from desired capacity + 1"
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _lab(*words: str) -> None:
    _say("lab " + " ".join(words))
    subprocess.run([str(PROGRAMS / "lab"), *words], check=True, stdout=sys.stderr)


def _judging(run: Path) -> Callable[[], object]:
    # The outcome is not what is measured here, so any exit code of a verdict will do.
    return lambda: subprocess.run(
        [str(PROGRAMS / "gameday"), "judge", str(run), "--quiet"], check=False, stdout=sys.stderr
    )


def _timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return round(time.monotonic() - began, 2)


def _forget_images() -> None:
    for path in sorted((cache() / "images").rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def _node_join() -> dict[str, float]:
    """Seconds from asking the Auto Scaling group for one more to its node being Ready, and to a pod running there."""
    session: Any = boto3.session.Session(region_name=REGION)
    credentials = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
    group = session.client("autoscaling", endpoint_url="http://198.18.1.13:5000", **credentials)
    admin = kubernetes.config.new_client_from_config(str(STATE / "pki" / "admin.kubeconfig"))
    core = kubernetes.client.CoreV1Api(admin)
    image = core.list_namespaced_pod("shop").items[0].spec.containers[0].image
    known = {node.metadata.name for node in core.list_node().items}
    desired = group.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"][0][
        "DesiredCapacity"
    ]
    began = time.monotonic()
    group.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=desired + 1)
    node = _awaited(lambda: _new_ready_node(core, known), "a new node to be Ready")
    ready = time.monotonic() - began
    core.create_namespaced_pod("default", _pod(node, image))
    _awaited(
        lambda: core.read_namespaced_pod("bench", "default").status.phase == "Running" or None,
        "a pod to run on the node",
    )
    running = time.monotonic() - began
    core.delete_namespaced_pod("bench", "default", grace_period_seconds=0)
    return {"node_ready_seconds": round(ready, 2), "pod_running_seconds": round(running, 2)}


def _new_ready_node(core: Any, known: set[str]) -> str | None:
    for node in core.list_node().items:
        conditions = {c.type: c.status for c in node.status.conditions or ()}
        if node.metadata.name not in known and conditions.get("Ready") == "True":
            return str(node.metadata.name)
    return None


def _pod(node: str, image: str) -> dict[str, Any]:
    """A pod that sleeps, of the shop's image: what a new node has to pull first, and large."""
    container = {"name": "bench", "image": image, "command": [PYTHON, "-c", "import time; time.sleep(600)"]}
    return {
        "metadata": {"name": "bench"},
        "spec": {"nodeName": node, "containers": [container], "tolerations": [{"operator": "Exists"}]},
    }


def _awaited(seen: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        if (value := seen()) is not None:
            return value
        time.sleep(0.1)
    raise TimeoutError(f"waited {WITHIN:.0f} s for {what}; look at `lab status` and `lab logs`")


if __name__ == "__main__":
    sys.exit(main())
