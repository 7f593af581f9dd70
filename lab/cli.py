"""The command `lab`: a whole stack on this machine, up, down and looked at."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lab import client
from lab.context import STATE, Settings
from lab.control import request
from lab.display import display_for, parts_table
from lab.doctor import doctor as examine
from lab.errors import LabError
from lab.hosts.logs import read_tail
from lab.hosts.sweep import leaks

INTERRUPTED = 130
_PART_WITHIN = 180.0
_PIPE_WIDTH = 200  # a pipe has no width, and rich would cut a table at 80

app = typer.Typer(
    help="A whole Kubernetes stack on this machine, in three zones, to try the harness on.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Results go to standard output, progress and complaints to standard error.
out = Console(soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
err = Console(stderr=True, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PartName = Annotated[str, typer.Argument(metavar="PART", help="A part's name, as `lab status` shows it.")]


@app.command()
def up(
    boot_delay: Annotated[
        float, typer.Option(help="Seconds from an instance's launch to its boot.")
    ] = Settings().boot_delay,
    target_file: Annotated[Path, typer.Option(help="Where to write the target file.")] = Path("target.yaml"),
    only: Annotated[str, typer.Option(help="Start only these components (a,b) and what they need.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,  # noqa: FBT002 - a flag
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Bring the lab up; does nothing to one that is up, and clears what a dead one left."""
    settings = Settings(boot_delay=boot_delay, target_file=target_file.absolute())
    now = client.status(STATE)
    if now["state"] in ("failed", "stopping"):
        say = err.print if not quiet else _nothing
        client.take_down(STATE, say)
        now = client.status(STATE)
    if now["state"] == "running":
        _mend(now, quiet=quiet)
    else:
        if now["state"] == "down":
            client.launch(STATE, settings, [name for name in only.split(",") if name])
        try:
            display_for(err, quiet=quiet).show(client.follow(STATE))
        except KeyboardInterrupt:
            err.print("the lab goes on starting by itself: `lab up` follows it again, `lab down` takes it away")
            raise typer.Exit(INTERRUPTED) from None
    if as_json:
        _print_json(client.status(STATE))


@app.command()
def status(as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Show each part, where it is and how it fares; exit code 0 only if all run."""
    now = client.status(STATE)
    if as_json:
        _print_json(now)
    else:
        _print_status(now)
    if not _is_well(now):
        raise typer.Exit(1)


@app.command()
def down(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what is left, if anything is.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Take the lab away, also one whose daemon is dead; exit code 1 if anything is left."""
    removed = client.take_down(STATE, _nothing if quiet else _say)
    if not quiet:
        for line in removed:
            out.print(line, highlight=False)
        out.print("nothing of the lab is left" if removed else "there was no lab", highlight=False)


@app.command()
def stop(part: PartName, kill: Annotated[bool, typer.Option("--kill", help="By SIGKILL.")] = False) -> None:  # noqa: FBT002 - a flag
    """Stop a part; `lab start` starts it again."""
    request(STATE, _PART_WITHIN, do="stop", part=part, kill=kill)


@app.command()
def start(part: PartName) -> None:
    """Start a part that was stopped or that died, as it was started before."""
    request(STATE, _PART_WITHIN, do="start", part=part)


@app.command()
def logs(part: PartName, lines: Annotated[int, typer.Option("-n", help="How many lines.")] = 50) -> None:
    """Show the end of a part's log (`daemon` is a part here too)."""
    path = STATE / "logs" / f"{part}.log"
    if not path.is_file():
        known = ", ".join(sorted(log.stem for log in path.parent.glob("*.log")))
        raise LabError(f"there is no log of {part!r}", hint=f"there are logs of: {known or 'nothing'}")
    out.print(read_tail(path, lines), markup=False, highlight=False)


@app.command(name="leaks")
def leaks_() -> None:
    """List what of a lab is on this machine, also one that runs; exit code 1 if anything is."""
    found = leaks(STATE)
    for line in found:
        out.print(line, markup=False, highlight=False)
    if found:
        raise typer.Exit(1)
    out.print("nothing of a lab is on this machine", highlight=False)


@app.command()
def doctor(as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Tell what this machine lacks for the lab, and what to do about it; exit code 4 if anything."""
    raise typer.Exit(examine(as_json=as_json))


def main() -> None:
    """The entry point of `lab`: errors are said in a few lines, without a traceback."""
    # The doctor tells of root itself.
    if os.geteuid() != 0 and not {"-h", "--help", "doctor"} & set(sys.argv):
        err.print("lab: needs root, for namespaces and cgroups", style="red")
        raise SystemExit(1)
    try:
        app()
    except LabError as error:
        err.print(f"lab: {error}", style="red", markup=False, highlight=False)
        raise SystemExit(1) from None


def _mend(now: dict[str, Any], *, quiet: bool) -> None:
    idle = [part["name"] for part in now["parts"] if part["state"] in ("dead", "stopped")]
    for name in idle:
        request(STATE, _PART_WITHIN, do="start", part=name)
    if not quiet:
        _say(
            f"the lab is up; started again: {', '.join(idle)}" if idle else "the lab is up already, and every part runs"
        )


def _is_well(now: dict[str, Any]) -> bool:
    return now["state"] == "running" and not now["problems"] and all(p["state"] == "running" for p in now["parts"])


def _print_status(now: dict[str, Any]) -> None:
    waiting = [f"{name} {state}" for name, state in now["components"].items() if state != "ready"]
    if now["parts"]:
        out.print(parts_table(now["parts"], now["total"]), highlight=False)
    out.print(
        f"the lab is {now['state']}" + (f": {', '.join(waiting)}" if waiting else ""), markup=False, highlight=False
    )
    for problem in [*filter(None, [now.get("error")]), *now["problems"]]:
        out.print(problem, markup=False, highlight=False)
    if now.get("debris"):
        _say(f"a dead lab left {len(now['debris'])} things (`lab leaks` lists them); `lab down` takes them away")


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def _say(line: str) -> None:
    err.print(line, markup=False, highlight=False)


def _nothing(_line: str) -> None:
    """Says nothing."""
