"""
`go build` of one module, each program moved into place the moment it is linked.

One `go build` a module rather than one a tool: Go links in the order it is given, so the first program is there as
soon as it would be alone, and the second core compiles while the first links.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from lab.tools.cache import cache
from lab.tools.ledger import BuildFailed, log_file, log_tail, set_doing
from lab.tools.modules import Module
from lab.tools.progress import Progress, clock
from lab.tools.toolchain import Go

# Nice, so that what is already up gets the processor first; the signal, so that a killed builder leaves no orphan.
POLITE = ("nice", "-n", "5", "setpriv", "--pdeathsig", "TERM")


class Compilation:
    """One build's way through its modules; *built* gives the seconds after which each program was in place."""

    def __init__(self, go: Go, progress: Progress, names: list[str]) -> None:
        self.built: dict[str, float] = {}
        self._go = go
        self._progress = progress
        self._left = list(names)
        self._compiled = 0
        self._last = "reading what is compiled, linking"

    def module(self, module: Module, stop: Callable[[], bool]) -> None:
        """Build *module*'s missing programs until *stop* says so. Raises BuildFailed with the end of what Go said."""
        wanted = module.missing()
        staging = module.binaries.with_suffix(".part")
        for folder in (staging, cache() / "go-tmp"):
            shutil.rmtree(folder, ignore_errors=True)  # left by a build that was killed
            folder.mkdir(parents=True)
        module.binaries.mkdir(parents=True, exist_ok=True)
        process = self._start(module, [tool for tool in module.tools if tool.rsplit("/", 1)[-1] in wanted], staging)
        reader = threading.Thread(
            target=self._read, args=(cast("IO[str]", process.stdout),), name="go build", daemon=True
        )
        reader.start()
        try:
            while not stop() and not _ended(process, within=0.5):
                self._collect(staging, module.binaries)
                self._tell()
        finally:
            _end(process)
            reader.join()
            self._collect(staging, module.binaries, all_complete=process.returncode == 0)
            for folder in (staging, cache() / "go-tmp"):
                shutil.rmtree(folder, ignore_errors=True)
        if process.returncode != 0 and not stop():
            raise BuildFailed(f"`go build` in {module.folder} ended with {process.returncode}:\n{log_tail()}")

    def _start(self, module: Module, tools: list[str], staging: Path) -> subprocess.Popen[str]:
        environment = os.environ | {
            "CGO_ENABLED": "0",
            "GOCACHE": str(cache() / "go-build"),
            "GOFLAGS": "-mod=readonly",
            "GOTMPDIR": str(cache() / "go-tmp"),  # where a rename reaches the binaries
            "GOTOOLCHAIN": "local",  # nothing is downloaded behind our back
            "GOWORK": "off",
        }
        return subprocess.Popen(
            [*POLITE, str(self._go.program), "build", "-v", *module.flags, "-o", f"{staging}/", *tools],
            cwd=module.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,  # so that its compilers can be ended with it
        )

    def _read(self, said: IO[str]) -> None:
        with log_file().open("a") as log, said:
            for line in said:
                log.write(line)
                log.flush()
                if line.startswith("go: downloading "):
                    self._last = line.removeprefix("go: ").strip()
                elif " " not in line.strip():  # `go build -v` names each package as it compiles it
                    self._compiled += 1
                    self._last = f"{self._compiled} packages compiled, {line.strip()}"

    def _collect(self, staging: Path, into: Path, *, all_complete: bool = False) -> None:
        for name in tuple(self._left):
            made = staging / name
            if made.exists() and (all_complete or _complete(made)):
                made.replace(into / name)
                self._left.remove(name)
                self.built[name] = round(self._progress.elapsed, 1)
                self._progress.say(f"  {name} built after {clock(self._progress.elapsed)}; {len(self._left)} remain")

    def _tell(self) -> None:
        if self._left:
            doing = f"{self._left[0]}, {len(self._left) - 1} remain after it · {self._last}"
            self._progress.doing(doing)
            set_doing(f"{doing} · {clock(self._progress.elapsed)}")


def _ended(process: subprocess.Popen[str], within: float) -> bool:
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[str]) -> None:
    """End *process* and its compilers, if it still runs; what they have finished stays in Go's cache."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def _complete(made: Path) -> bool:
    """Whether nobody still writes *made*: the kernel grants a read lease only then (and some file systems never do)."""
    with made.open("rb") as file:
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError:
            return False
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return True
