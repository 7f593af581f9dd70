"""
What a lab leaves on the machine, and taking it away: after a clean end and after a SIGKILL of everything alike.

The lab is known by its names alone (cgroup `gameday`, namespaces `gd-*`, its link, its state folder, nft tables
`gameday*`), so nothing here needs a record of what was started, and nothing else on the machine is touched.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import CommandFailed, LabError
from lab.hosts import network
from lab.hosts.cgroups import Cgroups
from lab.hosts.commands import run
from lab.hosts.mounts import mounted_below, unmount_below

MARK = ".gameday-lab"
KEPT = frozenset({"logs", "cache", "lock", MARK})


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the traces of a lab are looked for; tests give folders and commands of their own."""

    cgroups: Cgroups = field(default_factory=Cgroups.of_this_machine)
    namespaces: Callable[[], list[str]] = network.namespaces
    mounts: Callable[[Path], list[str]] = mounted_below
    run: Callable[..., str] = run


def claim(state: Path) -> None:
    """Makes *state* a lab's state folder; raises LabError when it holds something and is not one already."""
    state.mkdir(parents=True, exist_ok=True)
    if not (state / MARK).exists() and any(path.name not in KEPT for path in state.iterdir()):
        raise LabError(
            f"{state} holds files that are not a lab's", hint="set LAB_STATE to a folder that is empty or not there yet"
        )
    (state / "logs").mkdir(exist_ok=True)
    (state / MARK).touch()


def sweep(state: Path, *, say: Callable[[str], None] = lambda _line: None) -> list[str]:
    """
    Takes away all that a lab left, and says what that was, a line a kind; nothing to say when there was nothing.

    Logs and caches are kept. Raises LabError when something cannot be taken away; it may then be called again.
    """
    machine = Machine()
    done: list[str] = []

    def note(count: int, what: str) -> None:
        if count:
            done.append(f"{count} {what}")
            say(done[-1])

    note(machine.cgroups.kill(), "processes killed")
    note(unmount_below(state), "mounts unmounted")
    note(_remove_namespaces(machine), "network namespaces removed")
    note(_remove_link(machine), "links and routes removed")
    note(_remove_tables(machine), "nft tables removed")
    note(machine.cgroups.remove(), "cgroups removed")
    note(_remove_data(state), "data folders and files deleted")
    return done


def leaks(state: Path, machine: Machine | None = None) -> list[str]:
    """What of a lab is on the machine now, a line each; empty when nothing is."""
    machine = machine or Machine()
    pids = sorted(machine.cgroups.pids() - {os.getpid()})
    found = [f"process {pid} ({_command_of(pid)})" for pid in pids]
    found += [f"network namespace {name}" for name in machine.namespaces()]
    found += [f"link {name}" for name in _links(machine)]
    found += [f"route {route}" for route in _routes(machine)]
    found += [f"nft table {family} {name}" for family, name in _tables(machine)]
    found += [f"mount {point}" for point in machine.mounts(state)]
    found += [f"cgroup {folder}" for folder in machine.cgroups.roots if folder.exists()]
    found += [f"data {path}" for path in _data(state)]
    return found


def _remove_namespaces(machine: Machine) -> int:
    names = machine.namespaces()
    for name in names:
        try:
            machine.run("ip", "netns", "del", name)
        except CommandFailed:
            # A name whose namespace was never mounted (its maker died in between) is a plain file.
            (network.NETNS / name).unlink(missing_ok=True)
    return len(names)


def _remove_link(machine: Machine) -> int:
    links = _links(machine)
    for link in links:
        machine.run("ip", "link", "del", link)
    routes = _routes(machine)
    for route in routes:
        machine.run("ip", "route", "del", *route.split())
    return len(links) + len(routes)


def _remove_tables(machine: Machine) -> int:
    tables = _tables(machine)
    for family, name in tables:
        machine.run("nft", "delete", "table", family, name)
    return len(tables)


def _remove_data(state: Path) -> int:
    paths = _data(state)
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return len(paths)


def _data(state: Path) -> list[Path]:
    # Without the mark the folder was never a lab's: a mistyped LAB_STATE must not cost anybody a file.
    return sorted(path for path in state.iterdir() if path.name not in KEPT) if (state / MARK).exists() else []


def _links(machine: Machine) -> list[str]:
    shown = machine.run("ip", "-json", "link", "show")
    return [link["ifname"] for link in json.loads(shown or "[]") if link["ifname"] == network.UPLINK]


def _routes(machine: Machine) -> list[str]:
    """The lab's routes of the machine, as `ip route del` takes them."""
    shown: list[dict[str, Any]] = json.loads(machine.run("ip", "-json", "route", "show") or "[]")
    return [
        " ".join(network.BLACKHOLE) if route.get("type") == "blackhole" else f"{route['dst']} dev {route['dev']}"
        for route in shown
        if route["dst"] == str(network.EVERYTHING)
        and (route.get("type") == "blackhole" or route.get("dev") == network.UPLINK)
    ]


def _tables(machine: Machine) -> list[tuple[str, str]]:
    if shutil.which("nft") is None:
        return []  # Who cannot make tables has left none.
    shown = json.loads(machine.run("nft", "--json", "list", "tables") or "{}").get("nftables", [])
    tables = [(entry["table"]["family"], entry["table"]["name"]) for entry in shown if "table" in entry]
    return [(family, name) for family, name in tables if name.startswith("gameday")]


def _command_of(pid: int) -> str:
    try:
        said = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
    except OSError:
        return "gone by now"
    return " ".join(said[:5]) or "its end is not yet awaited"
