"""`lab doctor`: what this machine lacks for the lab, each thing tried rather than guessed, and what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab import probes
from lab.context import STATE
from lab.hosts.cgroups import LAB, hierarchies
from lab.lock import holder
from lab.tools import debian
from lab.tools.cache import cache
from lab.tools.modules import MODULES, missing
from lab.tools.toolchain import needed, present

GIB = 1 << 30
CORES = 2
MEMORY = 6 * GIB
DISK_STATE = 5 * GIB  # images, the nodes' layers, database, logs
DISK_BUILD = 10 * GIB  # Go's cache 5, its modules 2 to 3, the programs 0.7
CONTROLLERS = ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids")
ADDRESSES = IPv4Network("198.18.0.0/15")
LACKING = 4


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the lab needs; *do* says what to do where it is not *ok*."""

    name: str
    ok: bool
    found: str
    needed: str
    do: str = ""


def checks() -> list[Check]:
    """Everything that the lab needs of this machine, looked at now; leaves nothing behind."""
    looked = {
        "root": _root,
        "system": _system,
        "cores": _cores,
        "memory": _memory,
        "disk": _disk,
        "packages": _packages,
        "programs": _programs,
        "cgroups": _cgroups,
        "cpu limits": _cpu_limits,
        "networks": lambda: _tried("networks", "network namespaces, bridges, veth pairs", probes.NETWORK),
        "nftables": lambda: _tried("nftables", "nftables with NAT, maps and numgen", probes.NFTABLES),
        "overlayfs": _overlay,
        "addresses": _addresses,
        "leftovers": _leftovers,
    }
    return [_guarded(name, look) for name, look in looked.items()]


def doctor(*, as_json: bool = False) -> int:
    """Print the checks; 0 where the machine lacks nothing, else 4."""
    found = checks()
    lacking = [check for check in found if not check.ok]
    if as_json:
        sys.stdout.write(json.dumps({"ok": not lacking, "checks": [asdict(check) for check in found]}, indent=1) + "\n")
    else:
        console = Console(highlight=False)
        console.print(table(found))
        console.print(verdict(found), markup=False)
    return LACKING if lacking else 0


def verdict(found: Iterable[Check]) -> str:
    """One sentence on *found*."""
    lacking = [check.name for check in found if not check.ok]
    return f"Not as the lab needs it: {', '.join(lacking)}." if lacking else "This machine can run the lab."


def table(found: Iterable[Check]) -> Table:
    """*found* for a terminal; what to do stands below what was found."""
    shown = Table(title="lab (this machine)", title_justify="left", pad_edge=False)
    shown.add_column("", no_wrap=True)
    shown.add_column("what", no_wrap=True)
    shown.add_column("found", overflow="fold")
    shown.add_column("needed", overflow="fold")
    for check in found:
        text = Text(check.found)
        if check.do and not check.ok:
            text.append(f"\n→ {check.do}", style="yellow")
        mark = Text("ok", style="green") if check.ok else Text("lacks", style="bold red")
        shown.add_row(mark, Text(check.name), text, Text(check.needed))
    return shown


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - what cannot be looked at is lacking, and the other checks still count
        return Check(name, ok=False, found=f"could not be looked at: {error!r}", needed="an answer")


def _root() -> Check:
    return Check("root", os.geteuid() == 0, f"user {os.geteuid()}", "root", "run it as root, or with sudo")


def _system() -> Check:
    release = {}
    if sys.platform == "linux":
        lines = Path("/etc/os-release").read_text().splitlines()
        release = {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}
    apt = shutil.which("apt-get") is not None
    found = f"{release.get('PRETTY_NAME', sys.platform)}, Linux {os.uname().release}" + ("" if apt else ", no apt-get")
    ok = sys.platform == "linux" and apt
    return Check("system", ok, found, "Linux with apt-get (tried on Debian 12)", "use a Debian 12 machine or VM")


def _cores() -> Check:
    count = len(os.sched_getaffinity(0))
    return Check("cores", count >= CORES, f"{count}", f"{CORES}", "use a larger machine")


def _memory() -> Check:
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    ok = available >= MEMORY or holder() is not None  # a running lab has taken what it needs
    return Check("memory", ok, f"{gib(available)} available", gib(MEMORY), "end what else uses memory")


def _disk() -> Check:
    wanted: dict[int, int] = {}
    free: dict[int, str] = {}
    lacking = False
    for path, size in ((STATE, DISK_STATE), (cache(), DISK_BUILD if missing() else 0)):
        there = probes.nearest(path)
        device = there.stat().st_dev
        wanted[device] = wanted.get(device, 0) + size
        usage = shutil.disk_usage(there)
        free[device] = f"{gib(usage.free)} free at {path}"
        lacking |= usage.free < wanted[device]
    do = "free some, or choose other places with LAB_STATE and GAMEDAY_CACHE"
    return Check("disk", not lacking, "; ".join(free.values()), "; ".join(map(gib, wanted.values())), do)


def _packages() -> Check:
    absent = debian.missing(debian.PACKAGES)
    found = f"missing: {', '.join(absent)}" if absent else f"all {len(debian.PACKAGES)}"
    return Check("packages", not absent, found, "Debian's packages for the lab", "`make debian` installs them")


def _programs() -> Check:
    absent = missing()
    names = [name for module in MODULES for name in module.names]
    go = present() if absent else None
    with_what = f"with Go {go.version}" if go else f"with Go {needed()} or newer, which `make tools` installs"
    found = f"{len(names) - len(absent)} of {len(names)} built" + (f", to build {with_what}" if absent else "")
    return Check(
        "programs", not absent, found, "the Go programs of lab/tools", "`make tools` builds them, `make gameday` too"
    )


def _cgroups() -> Check:
    mounted = hierarchies(Path("/proc/self/mountinfo").read_text())
    absent = [name for name in CONTROLLERS if name not in mounted or not os.access(mounted[name], os.W_OK)]
    found = f"cannot be written to: {', '.join(absent)}" if absent else "all can be written to"
    do = "boot with systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
    return Check("cgroups", not absent, found, f"version 1: {', '.join(CONTROLLERS)}", _as_root(do))


def _cpu_limits() -> Check:
    mounted = hierarchies(Path("/proc/self/mountinfo").read_text())
    error = probes.cpu_quota(mounted["cpu"]) if "cpu" in mounted else "there is no cgroup v1 controller cpu"
    do = "use a kernel with CONFIG_CFS_BANDWIDTH, as Debian's is"
    return Check("cpu limits", not error, error or "a limit was set and read back", "CFS quotas for pods", _as_root(do))


def _tried(name: str, needed: str, script: str) -> Check:
    error = probes.tried(script)
    do = "install what is missing with `make debian`; in a container, run it privileged or use a virtual machine"
    return Check(name, not error, error or "made and removed", needed, _as_root(do))


def _overlay() -> Check:
    error = probes.overlay(STATE)
    do = f"put LAB_STATE on ext4 or xfs: overlayfs cannot stack on {STATE}'s file system, or the kernel has none"
    return Check(
        "overlayfs", not error, error or f"mounted near {STATE}", "overlayfs on the lab's state folder", _as_root(do)
    )


def _addresses() -> Check:
    found = clashes(probes.asked("ip", "-json", "route", "show", "table", "all"), ADDRESSES)
    do = "take these routes away, or run the lab in a virtual machine"
    return Check("addresses", not found, "; ".join(found) or "free", f"{ADDRESSES} routed nowhere else", do)


def clashes(routes: Iterable[Mapping[str, Any]], lab: IPv4Network) -> list[str]:
    """The *routes* (as `ip -json route` lists them) that lead addresses of *lab* elsewhere; its own are named gd-."""
    found = []
    for route in routes:
        destination, device = str(route.get("dst", "")), str(route.get("dev", ""))
        try:
            network = ip_network(destination, strict=False)
        except ValueError:  # `default`, or a name
            continue
        own = device.startswith("gd-") or (route.get("type") == "blackhole" and network == lab)
        if network.version == lab.version and network.prefixlen and network.overlaps(lab) and not own:
            found.append(f"{destination} goes to {device or route.get('type', 'an unknown place')}")
    return found


def _leftovers() -> Check:
    held = holder()
    mounted = hierarchies(Path("/proc/self/mountinfo").read_text())
    dead = not held and any((mount / LAB).exists() for mount in mounted.values())
    found = "those of a dead lab: `lab leaks` lists them" if dead else "none" + (f", {held} is up" if held else "")
    do = "`lab down` takes them away; `lab up` does so by itself before it starts"
    return Check("leftovers", not dead, found, "none of a dead lab", do)


def _as_root(do: str) -> str:
    """What to do about something that only root can look at."""
    return do if os.geteuid() == 0 else "run this as root, which alone can try it"


def gib(size: int) -> str:
    """*size* bytes in GiB, for people."""
    return f"{size / GIB:.1f} GiB".replace(".0 GiB", " GiB")
