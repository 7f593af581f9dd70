"""
The lab's one long-lived process: starts every part, sees them die, and takes everything away at the end.

It is crash-only: whatever an earlier lab left is swept before this one starts, by the same sweep that ends it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.context import STATE, Component, Settings
from lab.errors import LabError, LockHeld
from lab.hosts.orphans import become_subreaper
from lab.hosts.sweep import claim, sweep
from lab.lock import DAEMON, LabLock

EXIT_LOCKED = 3


def main(argv: Sequence[str] | None = None, components: Sequence[Component] | None = None) -> int:
    """Runs the daemon with the lab's *components*; exit code 0 after an orderly end, 3 when another lab has the machine."""
    given = _arguments(argv)
    lock = LabLock(DAEMON) if given.lock is None else LabLock.inherited(DAEMON, given.lock)
    try:
        with lock:
            _run(given, components)
    except LockHeld as held:
        sys.stderr.write(f"{held}\n")
        return EXIT_LOCKED
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.daemon", description="The lab's daemon; `lab up` starts it.")
    parser.add_argument("--settings", default="{}", help="lab.context.Settings as JSON")
    parser.add_argument("--only", default="", help="components to start, with what they need, separated by commas")
    parser.add_argument("--lock", type=int, help="the file descriptor of the machine's lock, already held")
    return parser.parse_args(argv)


def _run(given: argparse.Namespace, components: Sequence[Component] | None) -> None:
    # Only now: the components import half of the world, and `lab down` must know by then whom to ask or to kill.
    from lab.components import COMPONENTS  # noqa: PLC0415
    from lab.graph import select  # noqa: PLC0415
    from lab.service import Service  # noqa: PLC0415

    chosen = select(COMPONENTS if components is None else components, filter(None, given.only.split(",")))
    settings = json.loads(given.settings)
    if "target_file" in settings:
        settings["target_file"] = Path(settings["target_file"])
    _prepare(STATE)
    Service(STATE, chosen, Settings(**settings)).run()


def _prepare(state: Path) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s")
    claim(state)
    become_subreaper()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for line in sweep(state):
        sys.stderr.write(f"left by an earlier lab: {line}\n")


def main_and_exit() -> None:
    """The entry point of `python -m lab.daemon`."""
    code = main()
    sys.stderr.flush()
    # At once: threads of components may wait in calls that nobody will answer any more.
    os._exit(code)


if __name__ == "__main__":
    main_and_exit()
