"""Groups are made, read and removed in every hierarchy at once; here in folders that look like cgroups."""

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.hosts.cgroups import Cgroups, hierarchies

MOUNTINFO = """
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
""".strip()


@pytest.fixture
def cgroups(tmp_path):
    mounts = {name: tmp_path / name for name in ("memory", "cpuacct")}
    for mount in mounts.values():
        mount.mkdir()
    return Cgroups(mounts)


def put(cgroups, group, **files):
    for root in cgroups.roots:
        for name, text in files.items():
            (root / group / name.replace("_", ".", 1)).write_text(text)


def test_hierarchies_are_known_by_each_of_their_controllers():
    at = Path("/sys/fs/cgroup")

    assert hierarchies(MOUNTINFO) == {
        "cpu": at / "cpu,cpuacct",
        "cpuacct": at / "cpu,cpuacct",
        "memory": at / "memory",
        "name=systemd": at / "systemd",
        "unified": at / "unified",
    }


def test_a_group_is_made_in_every_hierarchy(cgroups):
    cgroups.make("nodes/i-1/kubelet")

    assert [(root / "nodes/i-1/kubelet").is_dir() for root in cgroups.roots] == [True, True]


def test_a_new_cpuset_has_what_the_one_above_it_has(tmp_path):
    (tmp_path / "gameday/parts/etcd").mkdir(parents=True)
    for folder in ("", "gameday", "gameday/parts", "gameday/parts/etcd"):
        for name, text in (("cpuset.cpus", "0-1\n"), ("cpuset.mems", "0\n")):
            (tmp_path / folder / name).write_text("" if folder else text)

    Cgroups({"cpuset": tmp_path}).make("parts/etcd")

    assert (tmp_path / "gameday/parts/etcd/cpuset.cpus").read_text() == "0-1\n"
    assert (tmp_path / "gameday/parts/etcd/cpuset.mems").read_text() == "0\n"


def test_processes_below_a_group_are_its_too_each_once(cgroups):
    cgroups.make("nodes/i-1/pods/a")
    put(cgroups, "nodes/i-1", cgroup_procs="10\n")
    put(cgroups, "nodes/i-1/pods/a", cgroup_procs="11\n12\n")

    assert cgroups.pids("nodes/i-1") == {10, 11, 12}


def test_file_cache_that_can_go_is_not_memory_held(cgroups):
    cgroups.make("parts/etcd")
    put(cgroups, "parts/etcd", memory_usage_in_bytes="1000", memory_stat="cache 700\ntotal_inactive_file 600\n")

    assert cgroups.memory("parts/etcd") == 400


def test_cpu_time_is_in_seconds(cgroups):
    cgroups.make("parts/etcd")
    put(cgroups, "parts/etcd", cpuacct_usage="2500000000")

    assert cgroups.cpu("parts/etcd") == 2.5


def test_a_group_that_is_gone_uses_nothing_and_has_nobody(cgroups):
    assert (cgroups.memory("x"), cgroups.cpu("x"), cgroups.pids("x")) == (0, 0.0, frozenset())


def test_groups_are_removed_with_those_below_them(cgroups):
    cgroups.make("nodes/i-1/pods")

    assert cgroups.remove() == 8
    assert not any(root.exists() for root in cgroups.roots)


def test_a_process_that_cannot_be_killed_is_named(cgroups, monkeypatch):
    cgroups.make("parts/stuck")
    put(cgroups, "parts/stuck", cgroup_procs="4194305\n")  # above the kernel's highest process id

    with pytest.raises(LabError, match="survive SIGKILL: 4194305"):
        cgroups.kill("parts/stuck", within=0)
