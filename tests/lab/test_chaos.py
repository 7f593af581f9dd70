"""
The zone outage, its undo and the watchdog, with real processes: `chaos run`, the watchdog, and an AWS API (moto).

Kubernetes is a small answerer of the four lists that are read here: what a cluster does is the game-day's own test.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import httpx
import pytest

from harness.chaos.chaos_process import ChaosProcess, preview
from harness.chaos.lease import Lease
from harness.chaos.undo import UndoJournal
from harness.model.errors import PlanError
from harness.model.plan import Experiment, Load, Plan, Stage
from harness.rundir import RunDir, read_lines
from harness.target.state import read_state
from harness.target.target import Target
from harness.target.targetfile import load_target

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
ZONE = "us-east-1c"
RUNNER = """
import sys, time
from harness.chaos.lease import Lease
from harness.rundir import RunDir
Lease(RunDir(__import__("pathlib").Path(sys.argv[1]))).start()
print("held", flush=True)
time.sleep(600)
"""


def eventually(true: Callable[[], object], seconds: float, what: str) -> float:
    """Seconds until *true*; fails when it does not come."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - began


class Kubernetes(BaseHTTPRequestHandler):
    """One node and one pod a zone, one deployment, no kubelet heard of for 50 s; it is the entrypoint too."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        zones = ("us-east-1a", "us-east-1b", ZONE)
        renewed = (datetime.now(UTC) - timedelta(seconds=50)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": None}]
        items = {
            "nodes": [
                {
                    "metadata": {"name": f"node-{zone}", "labels": {"topology.kubernetes.io/zone": zone}},
                    "spec": {},
                    "status": {"conditions": ready},
                }
                for zone in zones
            ],
            "pods": [
                {
                    "metadata": {"name": f"front-{zone}", "uid": zone},
                    "spec": {"nodeName": f"node-{zone}", "containers": []},
                    "status": {"conditions": ready},
                }
                for zone in zones
            ],
            "deployments": [
                {
                    "metadata": {"name": "front"},
                    "spec": {"replicas": 3, "selector": {}, "template": {}},
                    "status": {"availableReplicas": 3, "conditions": [{"type": "Available", "status": "True"}]},
                }
            ],
            "leases": [{"metadata": {"name": f"node-{zone}"}, "spec": {"renewTime": renewed}} for zone in zones],
        }
        kind = self.path.partition("?")[0].rpartition("/")[2]
        body = json.dumps({"kind": "List", "metadata": {}, "items": items.get(kind, [])}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def kubernetes_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Kubernetes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("moto_server")
    argv = [str(program), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/moto-api/", timeout=1).is_success
        except httpx.HTTPError:
            return False

    try:
        eventually(answers, 60, "moto answers")
        yield url
    finally:
        server.terminate()
        server.wait(10)


@dataclass
class Place:
    """A target with a VPC of its own: a tagged subnet in each zone, one in the zone that is not ours."""

    target: Target
    ec2: object
    run: RunDir
    subnets: dict[str, str]
    foreign: str
    started: list[ChaosProcess | subprocess.Popen] = field(default_factory=list)

    def acls(self) -> dict[str, str]:
        acls = self.ec2.describe_network_acls()["NetworkAcls"]
        mine = {*self.subnets.values(), self.foreign}
        return {a["SubnetId"]: a["NetworkAclId"] for acl in acls for a in acl["Associations"] if a["SubnetId"] in mine}

    def temporary(self) -> list[str]:
        acls = self.ec2.describe_network_acls(Filters=[{"Name": "tag:gameday-run", "Values": [self.run.path.name]}])
        return [acl["NetworkAclId"] for acl in acls["NetworkAcls"]]

    def is_cut(self) -> bool:
        return self.acls()[self.subnets[ZONE]] in self.temporary()

    def events(self, kind: str) -> list[dict]:
        return [e for e in read_lines(self.run.events) if e["kind"] == kind]

    def chaos(self, duration: float, zone: str = ZONE) -> ChaosProcess:
        configuration = {"duration": duration, "zone": zone, "recovers_within": 5}
        experiment = Experiment("az-outage", str(ROOT / "experiments/az-outage.yaml"), "calm", 0, configuration)
        plan = Plan("try", "Try", 7, Load("x.py", (Stage("calm", 60, 1),)), (experiment,), (), ())
        self.started.append(ChaosProcess(experiment, plan, self.target.file, self.run))
        return self.started[-1]

    def end(self) -> None:
        """End what a failed test has left."""
        for each in self.started:
            if isinstance(each, ChaosProcess):
                each.stop(5)
            else:
                each.kill()
                each.wait()


@pytest.fixture
def place(tmp_path: Path, aws_url: str, kubernetes_url: str) -> Iterator[Place]:
    httpx.post(f"{aws_url}/moto-api/reset").raise_for_status()
    (tmp_path / "aws").write_text("[lab]\naws_access_key_id = testing\naws_secret_access_key = testing\n")
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": kubernetes_url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    document = {
        "version": 1,
        "name": "try",
        "kubernetes": {"kubeconfig": "kubeconfig", "namespaces": ["shop"]},
        "aws": {
            "region": "us-east-1",
            "endpoint_url": aws_url,
            "credentials": {"shared_credentials_file": "aws", "profile": "lab"},
            "tags": {"gameday": "allowed"},
        },
        "entrypoints": [kubernetes_url],
    }
    (tmp_path / "target.yaml").write_text(json.dumps(document))
    ec2 = boto3.client(
        "ec2", "us-east-1", endpoint_url=aws_url, aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    vpc = ec2.create_vpc(CidrBlock="198.18.0.0/16")["Vpc"]["VpcId"]
    subnets = {}
    for third, zone in ((16, "us-east-1a"), (32, "us-east-1b"), (48, ZONE)):
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"198.18.{third}.0/20", AvailabilityZone=zone)
        subnets[zone] = made["Subnet"]["SubnetId"]
    ec2.create_tags(Resources=list(subnets.values()), Tags=[{"Key": "gameday", "Value": "allowed"}])
    foreign = ec2.create_subnet(VpcId=vpc, CidrBlock="198.18.64.0/20", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
    run = RunDir(tmp_path / "reports" / "try-run")
    run.make()
    made = Place(load_target(tmp_path / "target.yaml"), ec2, run, subnets, foreign)
    yield made
    made.end()


def start_watchdog(place: Place, runner: int) -> subprocess.Popen:
    argv = [sys.executable, "-m", "harness.chaos.watchdog", str(place.run.path)]
    argv += ["--target", str(place.target.file), "--runner-pid", str(runner)]
    log = (place.run.logs / "watchdog.log").open("ab")
    with log:
        watchdog = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    place.started.append(watchdog)
    eventually(lambda: place.events("watchdog.standing"), 30, "the watchdog stands")
    return watchdog


@pytest.fixture
def runner(place: Place) -> Iterator[subprocess.Popen]:
    argv = [sys.executable, "-c", RUNNER, str(place.run.path)]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "held"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_outage_cuts_the_tagged_subnet_of_the_zone_and_takes_it_back(place: Place) -> None:
    before = place.acls()
    chaos = place.chaos(duration=2)
    chaos.start()
    eventually(place.is_cut, 30, "the zone is cut")
    during = place.acls()
    eventually(lambda: chaos.poll() is not None, 30, "the experiment ends")
    result = chaos.result()

    assert result.ok, result.failed
    assert {subnet for subnet in before if during[subnet] != before[subnet]} == {place.subnets[ZONE]}
    assert place.acls() == before
    assert place.temporary() == []
    assert UndoJournal(place.run).pending() == []
    (injected,) = place.events("fault.injected")
    (undone,) = place.events("fault.undone")
    assert injected["value"]["targets"] == [place.subnets[ZONE]]
    assert injected["value"]["details"]["nodes"] == [f"node-{ZONE}"]
    assert undone["at"] - injected["at"] >= 2
    assert undone["value"]["node_silence"][f"node-{ZONE}"] >= 50


def test_a_stopped_experiment_plays_its_rollback_at_once(place: Place) -> None:
    before = place.acls()
    chaos = place.chaos(duration=600)
    chaos.start()
    eventually(lambda: place.events("fault.injected"), 30, "the zone is cut")
    began = time.monotonic()
    chaos.stop()

    assert time.monotonic() - began < 15
    assert place.acls() == before
    assert chaos.result().status == "interrupted"
    assert not chaos.result().ok


def test_a_refused_fault_is_a_failure_whatever_chaos_toolkit_calls_it(place: Place) -> None:
    before = place.acls()
    chaos = place.chaos(duration=600, zone="us-east-1f")
    chaos.start()
    eventually(lambda: chaos.poll() is not None, 60, "the experiment ends, without holding nothing for ten minutes")

    assert chaos.poll() == 0
    assert not chaos.result().ok
    assert "bears the tags" in chaos.result().failed[0]
    assert place.acls() == before
    assert place.events("fault.injected") == []


def test_the_preview_names_what_would_be_hit_and_touches_nothing(place: Place) -> None:
    before = place.acls()
    chaos = place.chaos(duration=5)
    shown = preview(chaos.experiment, chaos.plan, place.target)

    assert shown.harms[0].targets == (place.subnets[ZONE],)
    assert shown.harms[0].share == pytest.approx(1 / 3)
    assert place.acls() == before
    with pytest.raises(PlanError, match="no subnet in zone 'us-east-1f'"):
        preview(place.chaos(5, "us-east-1f").experiment, chaos.plan, place.target)


def test_a_killed_runner_leaves_no_fault_behind_for_ten_seconds(place: Place, runner: subprocess.Popen) -> None:
    before = place.acls()
    watchdog = start_watchdog(place, runner.pid)
    chaos = place.chaos(duration=600)
    chaos.start()
    eventually(lambda: place.events("fault.injected"), 30, "the zone is cut")
    assert place.is_cut()
    runner.send_signal(signal.SIGKILL)
    took = eventually(lambda: place.acls() == before, 10, "the watchdog restores the zone")
    code = watchdog.wait(10)

    assert code == 0
    assert took < 10
    assert place.temporary() == []
    assert chaos.poll() == -signal.SIGKILL
    assert UndoJournal(place.run).pending() == []
    (compared,) = place.events("restored.compared")
    assert compared["source"] == "watchdog"
    assert compared["value"] == {"equal": True, "differences": [], "compared": 1}
    assert [e["source"] for e in place.events("fault.undone")] == ["watchdog"]
    assert place.events("run.interrupted")[0]["value"]["reason"] == "the runner died"


def test_a_runner_that_hangs_loses_its_lease(place: Place, runner: subprocess.Popen) -> None:
    before = place.acls()
    watchdog = start_watchdog(place, runner.pid)
    chaos = place.chaos(duration=600)
    chaos.start()
    eventually(lambda: place.events("fault.injected"), 30, "the zone is cut")
    runner.send_signal(signal.SIGSTOP)
    took = eventually(lambda: watchdog.poll() is not None, 15, "the watchdog ends")

    assert took > 4
    assert watchdog.returncode == 0
    assert place.acls() == before
    assert "did not renew" in place.events("watchdog.took_over")[0]["value"]["reason"]
    assert chaos.poll() == -signal.SIGKILL


def test_a_released_lease_ends_the_watchdog_without_a_word(place: Place) -> None:
    lease = Lease(place.run)
    lease.start()
    watchdog = start_watchdog(place, os.getpid())
    watchdog.send_signal(signal.SIGINT)  # a Ctrl-C in its terminal is not for it
    lease.release()

    assert watchdog.wait(10) == 0
    assert place.events("watchdog.took_over") == []


def test_a_release_with_a_fault_in_place_is_not_believed(place: Place) -> None:
    before = place.acls()
    lease = Lease(place.run)
    lease.start()
    watchdog = start_watchdog(place, os.getpid())
    chaos = place.chaos(duration=600)
    chaos.start()
    eventually(lambda: place.events("fault.injected"), 30, "the zone is cut")
    lease.release()

    assert watchdog.wait(15) == 0
    assert place.acls() == before
    assert "not undone" in place.events("watchdog.took_over")[0]["value"]["reason"]


def test_the_state_of_the_target_is_equal_after_the_outage(place: Place) -> None:
    before = read_state(place.target)
    chaos = place.chaos(duration=0.1)
    chaos.start()
    eventually(lambda: chaos.poll() is not None, 60, "the experiment ends")

    assert len(place.events("fault.undone")) == 1
    assert read_state(place.target) == before
