"""The lab's cgroup in every hierarchy: how its processes are known, counted and killed."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab.errors import LabError

LAB = "gameday"
_AGAIN = 0.02
_NOT_CONTROLLERS = frozenset({"rw", "ro", "xattr", "noprefix", "clone_children"})


def hierarchies(mountinfo: str) -> dict[str, Path]:
    """
    Where each version 1 hierarchy is mounted, by the names of its controllers (`memory`, `cpu`, `name=systemd`).

    A version 2 hierarchy beside them is there as `unified`: it controls nothing, but runc makes its groups there too.
    """
    found: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        if kind == "cgroup2":
            found["unified"] = Path(before.split(" ")[4])
        for option in options.rsplit(" ", 1)[-1].split(",") if kind == "cgroup" else ():
            if option not in _NOT_CONTROLLERS:
                found.setdefault(option, Path(before.split(" ")[4]))
    return found


class Cgroups:
    """
    The folder `gameday` in every hierarchy of *mounts*; groups are named relative to it (`parts/etcd`).

    What changes a group does so in every hierarchy at once.
    """

    def __init__(self, mounts: Mapping[str, Path]) -> None:
        self._mounts = dict(mounts)

    @classmethod
    def of_this_machine(cls) -> Cgroups:
        """The hierarchies that this machine has mounted; raises LabError when the memory controller is not among them."""
        mounts = hierarchies(Path("/proc/self/mountinfo").read_text())
        if "memory" not in mounts:
            raise LabError(
                "this machine has no cgroup v1 memory hierarchy",
                hint="the lab needs cgroup v1 controllers: boot with systemd.unified_cgroup_hierarchy=0",
            )
        return cls(mounts)

    @property
    def roots(self) -> list[Path]:
        """The lab's folder in each hierarchy, there or not."""
        return sorted({mount / LAB for mount in self._mounts.values()})

    def make(self, group: str) -> None:
        """Makes *group* and the groups above it, ready to take processes."""
        for root in self.roots:
            (root / group).mkdir(parents=True, exist_ok=True)
        if "cpuset" in self._mounts:
            at = self._mounts["cpuset"] / LAB
            for below in (at, *(at / "/".join(group.split("/")[: n + 1]) for n in range(group.count("/") + 1))):
                _inherit_cpuset(below)

    def entrances(self, group: str) -> list[Path]:
        """The files that a process writes its id to, to enter *group*."""
        return [root / group / "cgroup.procs" for root in self.roots]

    def pids(self, group: str = "") -> frozenset[int]:
        """The processes in *group* and in the groups below it, in any hierarchy."""
        return frozenset(pid for folder in self.folders(group) for pid in _pids(folder))

    def folders(self, group: str = "") -> list[Path]:
        """The folders of *group* and of the groups below it, in any hierarchy, the deepest first."""
        found: list[Path] = []
        for root in self.roots:
            found += [Path(path) for path, _, _ in os.walk(root / group, topdown=False)]
        return found

    def memory(self, group: str) -> int:
        """The bytes that *group* really holds: its usage without file cache that the kernel would give up at once."""
        at = self._mounts["memory"] / LAB / group
        try:
            used = int((at / "memory.usage_in_bytes").read_text())
            stat = dict(line.split() for line in (at / "memory.stat").read_text().splitlines())
        except OSError:
            return 0  # A group that is gone holds nothing.
        return max(0, used - int(stat.get("total_inactive_file", 0)))

    def cpu(self, group: str) -> float:
        """The seconds of CPU time that *group* has used since it was made; 0 when there is none."""
        at = self._mounts.get("cpuacct")
        try:
            return int((at / LAB / group / "cpuacct.usage").read_text()) / 1e9 if at is not None else 0.0
        except OSError:
            return 0.0

    def kill(self, group: str = "", *, within: float = 10.0) -> int:
        """
        Kills every process in *group* and below, until none is left, and says how many there were.

        This process is spared. Raises LabError naming those that are still there after *within* seconds.
        """
        self._thaw(group)
        killed: set[int] = set()
        deadline = time.monotonic() + within
        while left := self.pids(group) - {os.getpid()}:
            if time.monotonic() > deadline:
                raise LabError(
                    f"{len(left)} processes in cgroup {LAB}/{group} survive SIGKILL: {_named(left)}",
                    hint="they wait in the kernel (state D?): see /proc/<pid>/stack",
                )
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed |= left
            time.sleep(_AGAIN)
        return len(killed)

    def remove(self, group: str = "", *, within: float = 5.0) -> int:
        """Removes the emptied *group* and the groups below it, and says how many folders those were."""
        deadline = time.monotonic() + within
        gone = 0
        for folder in self.folders(group):
            gone += _remove(folder, deadline)
        return gone

    def _thaw(self, group: str) -> None:
        # A frozen (paused) container cannot die before it thaws.
        at = self._mounts.get("freezer")
        for path, _, _ in os.walk(at / LAB / group) if at is not None else ():
            with contextlib.suppress(OSError):
                (Path(path) / "freezer.state").write_text("THAWED")


def _inherit_cpuset(folder: Path) -> None:
    # A new cpuset has no CPUs and no memory, and takes no process before it has both.
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())


def _pids(folder: Path) -> Iterator[int]:
    try:
        yield from map(int, (folder / "cgroup.procs").read_text().split())
    except FileNotFoundError:
        return  # Removed since it was listed.
    except OSError as error:
        if error.errno != errno.ENODEV:  # removed while it was open
            raise


def _remove(folder: Path, deadline: float) -> int:
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return 0
        except OSError:
            # Busy until the kernel has let go of the last dead process.
            if time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN)
        else:
            return 1


def _named(pids: frozenset[int]) -> str:
    def name(pid: int) -> str:
        try:
            return f"{pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})"
        except OSError:
            return str(pid)

    return ", ".join(name(pid) for pid in sorted(pids)[:10])
