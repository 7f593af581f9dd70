"""
Game-days on the real lab that must not pass, each with one thing wrong: the verdict, exit code and reason are right.

In the order that costs least: what scales the stack out comes last, for the next run to settle waits for minutes.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kubernetes import client, config

from harness.chaos.processes import members
from harness.target.targetfile import load_target
from tests.lab.conftest import SharedLab
from tests.lab.game_days import PLANS, GameDay, await_that, gameday, running
from tests.lab.witnesses import Zone, bystanders, pods, throttled, unschedulable

pytestmark = pytest.mark.lab
ZONE = "us-east-1c"
GROUND = [
    "load_delivered",
    "machine_not_saturated",
    "evidence_complete",
    "everything_restored",
    "run_complete",
]


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return tmp_path / "reports"


@pytest.fixture(scope="module")
def cluster(shared_lab: SharedLab) -> client.ApiClient:
    return config.new_client_from_config(config_file=str(shared_lab.admin))


@pytest.fixture
def zone(shared_lab: SharedLab, cluster: client.ApiClient) -> Zone:
    return Zone(ZONE, load_target(shared_lab.target), cluster)


@pytest.fixture
def capped(cluster: client.ApiClient) -> Iterator[None]:
    """Both autoscalers may have three pods and no more; allowed more again once nothing calls for it any longer."""
    api = client.AutoscalingV2Api(cluster)
    scalers = {each.metadata.name: each.spec for each in api.list_namespaced_horizontal_pod_autoscaler("shop").items}

    def allow(name: str, replicas: int) -> None:
        api.patch_namespaced_horizontal_pod_autoscaler(name, "shop", {"spec": {"maxReplicas": replicas}})

    def calm() -> bool:
        found = api.list_namespaced_horizontal_pod_autoscaler("shop").items
        used = [metric.resource.current.average_utilization for each in found for metric in each.status.current_metrics]
        return bool(used) and max(used) < 60

    for name, spec in scalers.items():
        allow(name, spec.min_replicas)
    yield
    try:
        await_that(calm, 90, "the autoscalers see that the load is over")
    finally:
        for name, spec in scalers.items():
            allow(name, spec.max_replicas)


@pytest.mark.usefixtures("capped")
def test_an_hpa_whose_maximum_is_its_minimum_fails(shared_lab: SharedLab, reports: Path) -> None:
    with running("capped-hpa", shared_lab, reports) as run:
        code = run.end()
    verdicts = run.verdicts

    assert code == 1, run.said
    assert verdicts.that("fail") == ["hpa_scales_out: shop/front (spike)"]
    why = verdicts.why("hpa_scales_out: shop/front (spike)")
    assert "maxReplicas equals minReplicas (3)" in why
    assert "raise maxReplicas of shop/front to at least 5" in why
    assert verdicts.that("inconclusive") == []
    assert verdicts.that("pass") == ["slo: available (baseline)", "slo: available (spike)", *GROUND]


def test_a_selector_that_matches_no_pod_is_refused_in_preview_and_nothing_is_touched(
    shared_lab: SharedLab, cluster: client.ApiClient, reports: Path
) -> None:
    before = pods(cluster)
    plan = PLANS / "no-such-pods.yaml"

    for said in (
        gameday("plan", plan, "--target", shared_lab.target),
        gameday("run", plan, "--target", shared_lab.target, "--reports", reports),
    ):
        assert said.code == 3
        assert "no-such-pods.yaml:10: experiments[0].configuration.selector" in said.err
        assert "selector 'app=frnot' matches no ready pod in namespace 'shop'" in said.err
        assert "hint: see what there is: kubectl -n shop get pods --show-labels" in said.err

    assert not reports.exists()
    assert pods(cluster) == before


def test_ctrl_c_undoes_the_faults_and_leaves_a_record_that_can_be_judged(
    shared_lab: SharedLab, zone: Zone, reports: Path
) -> None:
    before = zone.associations(), zone.acls()
    with running("outage", shared_lab, reports) as run:
        run.await_event("fault.injected", "az-outage")
        assert not zone.is_reached()
        os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does it: to all of the foreground
        code = run.end()

    assert code == 130
    assert "interrupted: stopped by SIGINT" in run.said
    assert zone.is_reached()
    assert (zone.associations(), zone.acls()) == before
    assert members(run.folder) == {}
    assert_inconclusive_because(run, "stopped by SIGINT")


def assert_inconclusive_because(run: GameDay, reason: str) -> None:
    """The record of an interrupted run can be read, and is judged inconclusive for *reason*, but restored."""
    judged = gameday("judge", run.folder.path)
    verdicts = run.verdicts

    assert judged.code == 2, judged.out
    assert "INCONCLUSIVE" in judged.out
    assert verdicts.that("pass") == ["machine_not_saturated", "evidence_complete", "everything_restored"]
    assert verdicts.that("inconclusive") == [
        "slo: available (outage)",
        f"zone_survived: {ZONE} (az-outage)",
        "load_delivered",
        "faults_injected: az-outage",
        "run_complete",
    ]
    for title in verdicts.that("inconclusive"):
        assert re.match(rf"the run was interrupted after \d+ s: {reason}", verdicts.why(title)), verdicts.why(title)
    assert gameday("report", run.folder.path).code == 2
    assert (run.folder.path / "report.html").stat().st_size > 10_000


def test_a_killed_runner_is_undone_within_ten_seconds_and_the_next_run_passes(
    shared_lab: SharedLab, zone: Zone, reports: Path
) -> None:
    before = zone.associations(), zone.acls()
    with bystanders() as others, running("outage", shared_lab, reports) as run:
        cut = run.await_event("fault.injected", "az-outage")["at"]
        await_that(lambda: time.time() > cut + 12, 15, "the middle of the outage")
        assert zone.associations() != before[0]
        assert not zone.is_reached()
        run.process.kill()
        killed = time.monotonic()
        await_that(zone.is_reached, 10, "the zone is reached again")
        await_that(lambda: zone.associations() == before[0], 10 - (time.monotonic() - killed), "its ACL is its own")
        await_that(lambda: not members(run.folder), 20, "no process of the run is left")
        assert zone.acls() == before[1]
        assert [other.poll() for other in others] == [None] * len(others)
        assert not_running(shared_lab) == []

    assert_inconclusive_because(run, "the runner died")
    undone = gameday("undo", run.folder.path, "--target", shared_lab.target)
    assert (undone.code, "nothing is left to undo" in undone.out) == (0, True)

    with running("outage", shared_lab, reports.with_name("second")) as second:
        code = second.end()

    assert code == 0, second.said
    assert second.verdicts.that("pass") == [
        "slo: available (outage)",
        f"zone_survived: {ZONE} (az-outage)",
        "load_delivered",
        "machine_not_saturated",
        "faults_injected: az-outage",
        "evidence_complete",
        "everything_restored",
        "run_complete",
    ]
    assert (zone.associations(), zone.acls()) == before


def not_running(lab: SharedLab) -> list[str]:
    parts = lab.status()["parts"]
    assert parts
    return [part["name"] for part in parts if part["state"] != "running"]


def test_a_load_generator_throttled_to_a_tenth_leaves_no_verdict_that_rests_on_load(
    shared_lab: SharedLab, reports: Path
) -> None:
    with running("throttled-load", shared_lab, reports) as run:
        run.await_event("load.stage", "baseline")
        generator = psutil.Process(run.processes("load"))
        generator.cpu_percent()
        run.await_event("load.stage", "steady")
        with throttled(generator, generator.cpu_percent() / 100 / 10):
            code = run.end()
    verdicts = run.verdicts

    assert code == 2, run.said
    assert verdicts.that("fail") == []
    assert set(verdicts.that("inconclusive")) >= {
        "slo: available (steady)",
        "slo: fast (steady)",
        "hpa_scales_out: shop/front (steady)",
        "load_delivered",
    }
    starved = r"in stage 'steady' the generator's event loop lagged over 0.25 s for \d+% of the time"
    for title in set(verdicts.that("inconclusive")) - {"evidence_complete"}:
        assert re.match(starved, verdicts.why(title)), verdicts.why(title)
    assert {"everything_restored", "run_complete"} <= set(verdicts.that("pass"))


def test_what_needs_a_prometheus_that_was_killed_is_inconclusive_and_the_rest_is_judged(
    shared_lab: SharedLab, reports: Path
) -> None:
    with running("lost-prometheus", shared_lab, reports) as run:
        run.await_event("load.stage", "spike")
        shared_lab.do("stop", "prometheus", "--kill")
        try:
            run.await_event("observe.lost", "prometheus", within=15)
            run.await_event("load.ended", within=120)
        finally:
            shared_lab.do("start", "prometheus")
        code = run.end()
    verdicts = run.verdicts

    assert code == 2, run.said
    assert verdicts.that("inconclusive") == ["hpa_scales_out: shop/front (spike)", "evidence_complete"]
    assert verdicts.that("fail") == []
    assert verdicts.that("pass") == [
        "slo: available (baseline)",
        "slo: available (spike)",
        "pods_replaced: kill-pods",
        "load_delivered",
        "machine_not_saturated",
        "faults_injected: kill-pods",
        "everything_restored",
        "run_complete",
    ]
    for title in verdicts.that("inconclusive"):
        assert re.search(r"prometheus was blind for \d+ s of \d+ to \d+ s", verdicts.why(title)), verdicts.why(title)
    assert "prometheus was blind for" in run.said


def test_a_stopped_cluster_autoscaler_fails_when_pods_do_not_fit(
    shared_lab: SharedLab, cluster: client.ApiClient, reports: Path
) -> None:
    shared_lab.do("stop", "cluster-autoscaler")
    try:
        with running("stopped-autoscaler", shared_lab, reports) as run:
            run.await_event("load.ended")
            stayed = unschedulable(cluster)
            shared_lab.do("start", "cluster-autoscaler")  # what was broken is mended, so that the run need not wait
            code = run.end()
    finally:
        shared_lab.do("start", "cluster-autoscaler")
    verdicts = run.verdicts

    assert code == 1, run.said
    assert stayed
    assert verdicts.that("fail") == ["cluster_autoscaler_adds_nodes: spike"]
    why = verdicts.why("cluster_autoscaler_adds_nodes: spike")
    assert "no group was raised within 30 s of the first pod that did not fit" in why
    assert re.search(r"still without a node then: shop/(front|back)-", why)
    assert "is the Cluster Autoscaler running?" in why
    assert verdicts.that("inconclusive") == []
    assert verdicts.that("pass") == ["slo: available (baseline)", "slo: available (spike)", *GROUND]
