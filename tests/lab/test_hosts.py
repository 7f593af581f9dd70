"""The lab's network, parts and sweep on this machine's real namespaces and cgroups."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lab.context import STATE, fixed_host
from lab.errors import LabClosing, LockHeld, PartFailed
from lab.hosts.cgroups import Cgroups
from lab.hosts.commands import run
from lab.hosts.interfaces import Host, Part
from lab.hosts.network import FabricHosts, enter
from lab.hosts.parts import Supervisor
from lab.hosts.sweep import claim, leaks, sweep
from lab.lock import LabLock

pytestmark = pytest.mark.lab

A = fixed_host("try-a", "us-east-1a", 90)
B = fixed_host("try-b", "us-east-1b", 90)
DEADLINE = 10.0


def await_that(fact, what):
    deadline = time.monotonic() + DEADLINE
    while not fact():
        assert time.monotonic() < deadline, f"not within {DEADLINE} s: {what}"
        time.sleep(0.02)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, TimeoutError):
        return False


def web(name, host):
    url = f"http://{host.address}:8000"
    return Part(name, (sys.executable, "-m", "http.server", "8000"), host=host, ready=lambda: answers(url))


def fetch_from(netns, url):
    code = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=3).status)"
    return subprocess.run(enter(netns, sys.executable, "-c", code), capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def machine():
    """The machine's lab names are ours, and nothing of a lab is left afterwards."""
    try:
        lock = LabLock("the lab tests").__enter__()
    except LockHeld as held:
        pytest.fail(f"{held}", pytrace=False)
    try:
        sweep(STATE)
        claim(STATE)
        yield
        sweep(STATE)
        assert leaks(STATE) == []
    finally:
        lock.__exit__(None, None, None)


@pytest.fixture
def hosts():
    fabric = FabricHosts()
    fabric.build()
    return fabric


@pytest.fixture
def parts():
    return Supervisor(STATE, Cgroups.of_this_machine())


def test_zones_reach_each_other_through_the_fabric_and_the_machine_reaches_both(hosts, parts):
    hosts.add(A)
    hosts.add(B)

    parts.start(web("web", A))  # ready is asked from the machine

    assert fetch_from(B.netns, f"http://{A.address}:8000").stdout.strip() == "200"


def test_pods_of_a_host_are_routed_to_it_and_away_from_it_when_it_is_gone(hosts):
    with_pods = Host("try-a", A.subnet, A.address, pods=next(A.subnet.network.subnets(new_prefix=26)))
    hosts.add(with_pods)
    route = ("ip", "-n", "gd-fabric", "route", "get", str(with_pods.pods.broadcast_address - 1))
    assert f"via {A.address}" in run(*route) or "dev br-us-east-1a" in run(*route)

    hosts.remove("try-a")

    assert str(with_pods.pods) not in run("ip", "-n", "gd-fabric", "route", "show")


def test_no_address_of_the_lab_leaves_the_machine_by_its_default_route(hosts):
    assert "dev gd-link" in run("ip", "route", "get", "198.19.0.10")
    run("ip", "link", "set", "gd-link", "down")

    without_link = subprocess.run(["ip", "route", "get", "198.19.0.10"], capture_output=True, text=True, check=False)

    assert without_link.returncode != 0
    assert "dev eth0" not in without_link.stdout


def test_a_host_has_no_way_out_of_the_lab(hosts):
    hosts.add(A)

    assert "unreachable" in fetch_from(A.netns, "http://192.0.2.1").stderr


def test_hosts_are_made_and_removed_as_often_as_one_likes(hosts):
    for _ in range(2):
        hosts.build()
        hosts.add(A)
        hosts.add(A)
    for _ in range(2):
        hosts.remove(A.name)

    assert A.netns not in run("ip", "netns")


def test_a_successor_at_the_same_address_is_reached_at_once(hosts, parts):
    hosts.add(B)
    for name in ("try-1", "try-2"):
        host = Host(name, A.subnet, A.address)
        hosts.add(host)
        parts.start(web(name, host))

        began = time.monotonic()
        assert fetch_from(B.netns, f"http://{A.address}:8000").stdout.strip() == "200"
        assert time.monotonic() - began < 2

        parts.stop(name, kill=True)
        hosts.remove(name)


def test_starting_a_part_that_runs_changes_nothing(hosts, parts):
    hosts.add(A)
    parts.start(web("web", A))
    before = parts.status()[0].pid

    parts.start(web("web", A))

    assert parts.status()[0].pid == before


def test_a_part_is_stopped_with_all_that_it_started_in_sessions_of_their_own(parts):
    parts.start(Part("kids", ("/bin/sh", "-c", "setsid sleep 1000 & exec sleep 1000")))
    cgroups = Cgroups.of_this_machine()
    await_that(lambda: len(cgroups.pids("parts/kids")) == 2, "two processes")

    parts.stop("kids")

    assert cgroups.pids("parts/kids") == frozenset()
    assert parts.status()[0].state == "stopped"


def test_a_part_that_ignores_sigterm_is_killed(parts):
    stubborn = "trap '' TERM; while :; do sleep 1; done"
    parts.start(Part("stubborn", ("/bin/sh", "-c", stubborn), stop_within=0.3))

    parts.stop("stubborn")

    assert parts.status()[0].state == "stopped"


def test_a_part_that_dies_stays_dead_with_its_reason_until_it_is_started_again(parts):
    parts.start(Part("short", ("sleep", "1000")))
    os.kill(parts.status()[0].pid, signal.SIGKILL)
    await_that(lambda: parts.status()[0].state == "dead", "it is seen to be dead")
    assert parts.status()[0].reason == "signal SIGKILL"

    parts.start_again("short")

    assert parts.status()[0].state == "running"


def test_a_part_that_ends_early_is_an_error_with_the_end_of_its_log(parts):
    with pytest.raises(PartFailed, match=r"(?s)ended before it was ready: exit code 7.*no such flag"):
        parts.start(Part("early", ("/bin/sh", "-c", "echo no such flag; exit 7"), ready=lambda: False))

    assert parts.status()[0].state == "dead"


def test_a_part_that_is_not_ready_in_time_is_an_error_that_says_what_the_probe_met(parts):
    def refused():
        raise ConnectionRefusedError("port 1")

    with pytest.raises(PartFailed, match=r"not ready within 0.2 s \(last: ConnectionRefusedError: port 1\)"):
        parts.start(Part("late", ("sleep", "1000"), ready=refused, ready_within=0.2))

    assert Cgroups.of_this_machine().pids("parts/late") == frozenset()


def test_a_part_runs_as_whom_it_is_said_to_and_knows_nothing_of_our_environment(parts, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://x")
    parts.start(Part("who", ("/bin/sh", "-c", "id -un; env; exec sleep 1000"), user="nobody", env={"ZONE": "a"}))
    log = STATE / "logs" / "who.log"
    await_that(lambda: "ZONE=a" in log.read_text(), "its environment is told")

    said = log.read_text().splitlines()

    assert "nobody" in said
    assert "HTTP_PROXY=http://x" not in said


def test_memory_and_cpu_are_told_a_part(parts):
    parts.start(Part("busy", (sys.executable, "-c", "b = bytearray(50 << 20)\nwhile True: pass")))
    parts.start(Part("idle", ("sleep", "1000")))
    await_that(lambda: parts.status()[0].cpu > 0.1, "it has used 0.1 s of CPU time")

    busy, idle = parts.status()

    assert busy.memory > 50 << 20
    assert 0 < idle.memory < 20 << 20
    assert idle.cpu < 0.1


def test_a_lab_that_closes_starts_nothing_more(hosts, parts):
    parts.start(Part("one", ("sleep", "1000")))
    hosts.close()
    parts.close()

    with pytest.raises(LabClosing):
        parts.start(Part("two", ("sleep", "1000")))
    with pytest.raises(LabClosing):
        hosts.add(A)
    assert [part.state for part in parts.status()] == ["stopped"]


_SUBREAPER = """
import json, os, subprocess, sys, time
from threading import Event
from lab.context import STATE
from lab.hosts.cgroups import Cgroups
from lab.hosts.interfaces import Part
from lab.hosts.orphans import become_subreaper, watch_orphans
from lab.hosts.parts import Supervisor
become_subreaper()
parts = Supervisor(STATE, Cgroups.of_this_machine())
watch_orphans(parts.owns, Event())
parts.start(Part("kids", ("/bin/sh", "-c", "(setsid sleep 0.3 &) ; exec sleep 1000")))
own = subprocess.Popen(["/bin/sh", "-c", "exit 7"])
deadline = time.monotonic() + 10
def zombies():
    pids = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    return [p for p in pids if open(f"/proc/{p}/stat").read().rpartition(")")[2].split()[0] == "Z"]
while time.monotonic() < deadline and (len(Cgroups.of_this_machine().pids("parts/kids")) > 1 or zombies() != [str(own.pid)]):
    time.sleep(0.05)
print(json.dumps({"left": zombies(), "own": str(own.pid), "code": own.wait()}), flush=True)
parts.close()
"""


def test_orphans_are_awaited_and_exit_codes_of_our_own_children_are_not_stolen():
    done = subprocess.run([sys.executable, "-c", _SUBREAPER], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)

    assert said["left"] == [said["own"]]
    assert said["code"] == 7


_DOOMED = """
import os, subprocess, sys
from lab.context import STATE, fixed_host
from lab.hosts.cgroups import Cgroups
from lab.hosts.interfaces import Part
from lab.hosts.network import FabricHosts
from lab.hosts.parts import Supervisor
host = fixed_host("try-a", "us-east-1a", 90)
hosts, parts = FabricHosts(), Supervisor(STATE, Cgroups.of_this_machine())
hosts.build()
hosts.add(host)
parts.start(Part("kids", ("/bin/sh", "-c", "setsid sleep 1000 & exec sleep 1000"), host=host))
(STATE / "parts" / "etcd").mkdir(parents=True)
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(STATE / "parts" / "etcd")], check=True)
(STATE / "parts" / "etcd" / "deeper").mkdir()
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(STATE / "parts" / "etcd" / "deeper")], check=True)
subprocess.run(["nft", "add", "table", "inet", "gameday-try"], check=True)
os.kill(os.getpid(), 9)
"""


def test_after_a_sigkill_of_the_supervisor_the_sweep_leaves_nothing():
    doomed = subprocess.run([sys.executable, "-c", _DOOMED], check=False)
    assert doomed.returncode == -signal.SIGKILL
    kinds = {line.split()[0] for line in leaks(STATE)}
    assert kinds == {"process", "network", "link", "route", "nft", "mount", "cgroup", "data"}

    sweep(STATE)

    assert leaks(STATE) == []
    assert sweep(STATE) == []


def test_a_frozen_process_is_swept_too(parts):
    parts.start(Part("paused", ("sleep", "1000")))
    freezer = Path("/sys/fs/cgroup/freezer/gameday/parts/paused/freezer.state")
    freezer.write_text("FROZEN")
    await_that(lambda: freezer.read_text().strip() == "FROZEN", "frozen")

    sweep(STATE)

    assert not freezer.exists()


def test_processes_and_namespaces_of_others_are_not_swept():
    theirs = subprocess.Popen(["sleep", "1000"])
    run("ip", "netns", "add", "gdtry-hosts-other")
    try:
        sweep(STATE)

        assert theirs.poll() is None
        assert "gdtry-hosts-other" in run("ip", "netns")
    finally:
        run("ip", "netns", "del", "gdtry-hosts-other")
        theirs.kill()
        theirs.wait()
