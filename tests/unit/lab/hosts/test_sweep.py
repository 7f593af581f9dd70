"""What a lab leaves is found by its names alone; what is not the lab's is never named."""

import json

import pytest

from lab.errors import LabError
from lab.hosts.cgroups import Cgroups
from lab.hosts.sweep import Machine, claim, leaks

ROUTES = [
    {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
    {"dst": "198.18.0.0/15", "gateway": "198.18.0.2", "dev": "gd-link"},
    {"type": "blackhole", "dst": "198.18.0.0/15", "metric": 4096},
    {"dst": "198.18.0.0/15", "dev": "tun0"},
]
TABLES = {
    "nftables": [{"metainfo": {}}, *({"table": {"family": "inet", "name": n}} for n in ("gameday-acl", "filter"))]
}


@pytest.fixture
def cgroups(tmp_path):
    (tmp_path / "memory").mkdir()
    return Cgroups({"memory": tmp_path / "memory"})


@pytest.fixture
def state(tmp_path):
    return tmp_path / "lab"


def answers(links=(), routes=(), tables=None):
    def run(*argv):
        said = {"link": [{"ifname": name} for name in links], "route": list(routes), "list": tables or {}}
        return json.dumps(said[argv[2]])

    return run


@pytest.fixture
def machine(cgroups, monkeypatch):
    monkeypatch.setattr("lab.hosts.sweep.shutil.which", lambda name: name)

    def make(run=None, names=(), mounts=()):
        return Machine(cgroups, lambda: list(names), lambda _state: list(mounts), run or answers())

    return make


def test_a_clean_machine_has_no_leaks(state, machine):
    assert leaks(state, machine()) == []


def test_logs_and_caches_are_no_leaks(state, machine):
    claim(state)
    (state / "cache").mkdir()
    (state / "lock").touch()

    assert leaks(state, machine()) == []


def test_every_kind_of_debris_is_named(state, machine, cgroups):
    claim(state)
    (state / "nodes").mkdir()
    cgroups.make("parts")
    (cgroups.roots[0] / "parts/cgroup.procs").write_text("4194305\n")

    found = leaks(state, machine(answers(["gd-link"], ROUTES, TABLES), ["gd-fabric"], [f"{state}/nodes/x"]))

    assert found == [
        "process 4194305 (gone by now)",
        "network namespace gd-fabric",
        "link gd-link",
        "route 198.18.0.0/15 dev gd-link",
        "route blackhole 198.18.0.0/15 metric 4096",
        "nft table inet gameday-acl",
        f"mount {state}/nodes/x",
        f"cgroup {cgroups.roots[0]}",
        f"data {state}/nodes",
    ]


def test_links_routes_and_tables_of_others_are_not_named(state, machine):
    others = answers(["eth0", "gd-linked"], [ROUTES[0], ROUTES[3]], {"nftables": [TABLES["nftables"][2]]})

    assert leaks(state, machine(others)) == []


def test_a_folder_with_somebodys_files_is_not_made_a_labs(tmp_path):
    (tmp_path / "thesis.tex").touch()

    with pytest.raises(LabError, match="holds files that are not a lab's"):
        claim(tmp_path)


def test_files_in_a_folder_that_is_not_a_labs_are_no_debris(tmp_path, machine):
    (tmp_path / "thesis.tex").touch()

    assert not [line for line in leaks(tmp_path, machine()) if line.startswith("data")]


def test_a_labs_folder_may_be_claimed_again(state):
    claim(state)
    (state / "nodes").mkdir()

    claim(state)

    assert (state / "nodes").is_dir()
