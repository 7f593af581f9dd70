"""Real Locust processes against a real HTTP server on loopback: what is recorded is what the server saw."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.load.locust_process import LoadProcess, check_profile
from harness.model.errors import PlanError
from harness.model.plan import Load, Plan, Stage
from harness.rundir import RunDir, read_lines
from harness.target.target import Kubernetes, Target
from harness.target.targetfile import load_target

pytestmark = pytest.mark.lab
SPIKE = Path(__file__).parents[2] / "loadprofiles" / "spike.py"


class Shop(BaseHTTPRequestHandler):
    """Answers the spike profile's journey; keeps who asked what."""

    protocol_version = "HTTP/1.1"
    seen: Counter[tuple[str, str]]
    ids: list[str]
    refuse: set[str]

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        request_id = self.headers.get("x-request-id", "")
        type(self).ids.append(request_id)
        type(self).seen[(self.command, self.path)] += 1
        status, body = 200, b"{}"
        if self.path in self.refuse:
            status = 503
        elif self.path == "/login":
            body = json.dumps({"token": "t", "user": "u"}).encode()
        elif self.path == "/cart" and "session=s" not in self.headers.get("cookie", ""):
            status = 401
        elif self.path == "/checkout":
            status = 201 if self.headers.get("idempotency-key") else 400
        self.send_response(status)
        for name, value in {"x-zone": "us-east-1a", "x-pod": "front-1", "content-length": str(len(body))}.items():
            self.send_header(name, value)
        if self.path == "/login":
            self.send_header("set-cookie", "session=s; Path=/; HttpOnly")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def shop() -> Iterator[type[Shop]]:
    handler = type("OneShop", (Shop,), {"seen": Counter(), "ids": [], "refuse": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def make(tmp_path: Path, profile: Path, entrypoints: list[str], stages: tuple[Stage, ...]) -> LoadProcess:
    (tmp_path / "kubeconfig").write_text("{}")
    (tmp_path / "target.yaml").write_text(
        "version: 1\nname: try\nkubernetes: {kubeconfig: kubeconfig, namespaces: [shop]}\n"
        f"entrypoints: {json.dumps(entrypoints)}\nresponses: {{zone_header: x-zone, pod_header: x-pod}}\n"
    )
    folder = RunDir(tmp_path / "run")
    folder.make()
    plan = Plan("try", "try", 7, Load(str(profile), stages), (), (), ())
    return LoadProcess(plan, load_target(tmp_path / "target.yaml"), folder)


def until(true: Callable[[], bool], within: float = 40.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)


def rows(load: LoadProcess) -> dict[str, list[object]]:
    return pq.read_table(load.folder.requests).to_pydict()


def series(load: LoadProcess, metric: str) -> list[float]:
    table = pq.read_table(load.folder.series).to_pylist()
    return [row["value"] for row in sorted(table, key=lambda row: row["at"]) if row["metric"] == metric]


def events(load: LoadProcess, kind: str) -> list[dict]:
    return [event for event in read_lines(load.folder.events) if event["kind"] == kind]


def test_every_request_the_server_saw_is_in_the_record(tmp_path, shop):
    load = make(tmp_path, SPIKE, [shop.url], (Stage("calm", 3, 5, 50), Stage("busy", 4, 20, 50)))
    load.start()
    until(lambda: load.poll() is not None)
    assert load.poll() == 0, (load.folder.logs / "load.log").read_text()
    got = rows(load)
    assert len(got["start"]) == sum(shop.seen.values()) > 50
    assert sorted(got["request_id"]) == sorted(shop.ids)
    assert set(got["status"]) == {200, 201}
    assert set(got["error"]) == {""}
    assert set(got["zone"]) == {"us-east-1a"}
    assert set(got["pod"]) == {"front-1"}
    assert set(got["name"]) == {"page", "browse", "product", "login", "cart", "checkout"}
    assert all(0 <= begun - due < 1 for begun, due in zip(got["start"], got["intended"], strict=True))
    assert [event["subject"] for event in events(load, "load.stage")] == ["calm", "busy"]
    calm, busy = (event["at"] for event in events(load, "load.stage"))
    assert busy - calm == pytest.approx(3, abs=0.25)
    assert events(load, "load.ended")[0]["value"] == {"code": 0}
    assert series(load, "load.started")[-1] == got["name"].count("page")
    assert series(load, "load.completed")[-1] == got["name"].count("page")
    assert series(load, "load.offered")[-1] == series(load, "load.started")[-1] + series(load, "load.dropped")[-1]
    assert max(series(load, "load.users")) == 20


def test_failed_requests_are_rows_and_the_load_still_ends_well(tmp_path, shop):
    shop.refuse.add("/login")
    load = make(tmp_path, SPIKE, [shop.url], (Stage("only", 6, 10, 50),))
    load.start()
    until(lambda: load.poll() is not None)
    assert load.poll() == 0
    got = rows(load)
    refused = [row for row in zip(got["name"], got["status"], got["error"], strict=True) if row[1] != 200]
    assert refused
    assert set(refused) == {("login", 503, "HTTP 503")}
    assert "cart" not in got["name"]
    assert series(load, "load.abandoned")[-1] == len(refused)


def test_a_dead_entrypoint_costs_each_of_its_users_one_request(tmp_path, shop):
    # Port 1 of loopback refuses; half of the users begin there.
    load = make(tmp_path, SPIKE, ["http://127.0.0.1:1", shop.url], (Stage("only", 6, 10, 50),))
    load.start()
    until(lambda: load.poll() is not None)
    got = rows(load)
    unanswered = [row for row in zip(got["name"], got["status"], got["error"], strict=True) if row[1] == 0]
    assert len(unanswered) == 5
    assert all(error for _, _, error in unanswered)
    assert len(got["start"]) - 5 == sum(shop.seen.values())


def test_a_plain_locustfile_of_somebody_else_is_recorded_unchanged(tmp_path, shop):
    profile = tmp_path / "theirs.py"
    profile.write_text(
        "from locust import HttpUser, constant, task\n\n"
        "class Theirs(HttpUser):\n    wait_time = constant(0.2)\n\n"
        "    @task\n    def look(self):\n        self.client.get('/products')\n"
    )
    load = make(tmp_path, profile, [shop.url], (Stage("only", 4, 3, 50),))
    load.start()
    until(lambda: load.poll() is not None)
    assert load.poll() == 0, (load.folder.logs / "load.log").read_text()
    got = rows(load)
    assert len(got["start"]) == sum(shop.seen.values()) > 10
    assert np.isnan(got["intended"]).all()
    assert set(got["zone"]) == {"us-east-1a"}
    assert [event["subject"] for event in events(load, "load.stage")] == ["only"]
    assert max(series(load, "load.users")) == 3
    assert series(load, "load.offered") == []


def test_a_profile_that_brings_its_own_shape_keeps_it_and_ends_with_the_plan(tmp_path, shop):
    profile = tmp_path / "shaped.py"
    profile.write_text(
        "from locust import FastHttpUser, LoadTestShape, constant, task\n\n"
        "class Theirs(FastHttpUser):\n    wait_time = constant(0.2)\n\n"
        "    @task\n    def look(self):\n        self.client.get('/products')\n\n"
        "class Two(LoadTestShape):\n    def tick(self):\n        return (2, 10)\n"
    )
    load = make(tmp_path, profile, [shop.url], (Stage("first", 2, 50), Stage("second", 2, 50)))
    load.start()
    until(lambda: load.poll() is not None)
    assert load.poll() == 0
    assert max(series(load, "load.users")) == 2
    assert [event["subject"] for event in events(load, "load.stage")] == ["first", "second"]


def test_a_killed_load_loses_only_the_last_seconds(tmp_path, shop):
    load = make(tmp_path, SPIKE, [shop.url], (Stage("only", 60, 20, 50),))
    load.start()
    until(lambda: load.folder.requests.is_dir() and len(list(load.folder.requests.glob("*.parquet"))) >= 2)
    seen = sum(shop.seen.values())
    os.kill(load.pid, signal.SIGKILL)
    assert load.stop() == -signal.SIGKILL
    assert seen - len(rows(load)["start"]) < 100  # 24 requests/s for two seconds, and some slack
    assert events(load, "load.ended") == []


def test_stopping_early_leaves_a_whole_record(tmp_path, shop):
    load = make(tmp_path, SPIKE, [shop.url], (Stage("only", 60, 10, 50),))
    load.start()
    until(lambda: sum(shop.seen.values()) > 20)
    assert load.stop() == 0
    assert len(rows(load)["start"]) == sum(shop.seen.values())
    assert len(events(load, "load.ended")) == 1


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("from locust import HttpUser\nclass A(HttpUser)\n    pass\n", 2, "SyntaxError"),
        ("import os\nimport no_such_thing\n", 2, "no_such_thing"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError"),
        ("x = 1\n", None, "no user class"),
    ],
)
def test_a_profile_that_cannot_run_is_refused_with_its_line(tmp_path, source, line, says):
    profile = tmp_path / "bad.py"
    profile.write_text(source)
    with pytest.raises(PlanError, match=says) as caught:
        check_profile(str(profile))
    assert caught.value.line == line
    assert caught.value.file == str(profile)


def test_the_spike_profile_is_runnable():
    assert check_profile(str(SPIKE)) == ("Shopper",)


def test_target_is_used_by_its_fields_alone():
    target = Target("t", Path("t.yaml"), Kubernetes("k", ("shop",)), ("http://127.0.0.1:1",))
    assert LoadProcess(Plan("p", "p", 1, Load(str(SPIKE), ()), (), (), ()), target, RunDir(Path("r"))).poll() is None


def test_a_load_whose_runner_is_killed_ends_by_itself_with_a_whole_record(tmp_path, shop):
    load = make(tmp_path, SPIKE, [shop.url], (Stage("only", 60, 10, 50),))
    argv = [sys.executable, "-c", "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(60)"]
    runner = subprocess.Popen([*argv, *load.command()], env=load.environment(), start_new_session=True)
    until(lambda: sum(shop.seen.values()) > 20)
    runner.kill()
    runner.wait()
    until(lambda: len(events(load, "load.ended")) == 1, within=20)
    until(lambda: len(rows(load)["start"]) == sum(shop.seen.values()), within=5)
