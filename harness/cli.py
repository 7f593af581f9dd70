"""`gameday`: plan, run, judge, report, undo, doctor."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness import preview as previews
from harness.chaos.processes import end_processes
from harness.chaos.undo import UndoJournal
from harness.exitcodes import OF_OUTCOME, ExitCode
from harness.judge.judge import judge as judge_timeline
from harness.judge.judge import verdicts_to_json
from harness.keep import keep as keep_run
from harness.model.errors import HarnessError, PlanError
from harness.model.plan import Plan
from harness.planfile import load_plan
from harness.record import load_timeline
from harness.report.summary import outcome_of
from harness.report.terminal import verdict_table
from harness.report.write import write_reports
from harness.run import Interrupted, new_run_folder
from harness.run import run as run_plan
from harness.rundir import RunDir
from harness.target.target import Target
from harness.target.targetfile import load_target
from harness.terminal import Progress

app = typer.Typer(
    help="Does your Kubernetes stack hold when things break under load? Answers with evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

PlanFile = Annotated[Path, typer.Argument(help="A plan, as in gamedays/.", show_default=False)]
RunFolder = Annotated[Path, typer.Argument(help="A run folder below reports/.", show_default=False)]
TargetFile = Annotated[Path, typer.Option("--target", "-t", help="What to test; `lab up` writes one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable on standard output, nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but the result.")]

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)
DEFAULT_TARGET = Path("target.yaml")


@app.command()
def plan(file: PlanFile, target: TargetFile = DEFAULT_TARGET, *, as_json: AsJson = False) -> None:
    """Check a plan and show what it would do to the target; touches nothing."""
    shown = _previewed(load_plan(file), load_target(target), quiet=as_json)
    if as_json:
        OUT.print_json(json.dumps(shown.document()))
    else:
        previews.show(shown, OUT)


@app.command()
def run(
    file: PlanFile,
    target: TargetFile = DEFAULT_TARGET,
    reports: Annotated[Path, typer.Option(help="Where run folders go.")] = Path("reports"),
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Carry out a plan, judge the record, write the reports; the exit code is the outcome."""
    checked, where = load_plan(file), load_target(target)
    shown = _previewed(checked, where, quiet=quiet or as_json)
    folder = new_run_folder(reports, checked)
    with Progress(ERR, quiet=quiet or as_json, title=checked.title) as progress:
        progress.expect(checked.load.seconds)
        run_plan(checked, where, folder, shown.capabilities, progress.say)
    _judge_and_report(folder, as_json=as_json, quiet=quiet)


@app.command()
def judge(folder: RunFolder, *, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Judge a recorded run again, from its folder alone."""
    _judge_and_report(RunDir(folder), as_json=as_json, quiet=quiet, reports=False)


@app.command()
def report(folder: RunFolder, *, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Judge a recorded run and write its reports again."""
    _judge_and_report(RunDir(folder), as_json=as_json, quiet=quiet)


@app.command()
def keep(folder: RunFolder, to: Annotated[Path, typer.Argument(help="A new folder.", show_default=False)]) -> None:
    """Keep a run as a small recording, without logs, to judge again later or to pass on."""
    OUT.print(f"kept as {keep_run(RunDir(folder), to)}", markup=False)


@app.command()
def undo(folder: RunFolder, target: TargetFile = DEFAULT_TARGET) -> None:
    """Finish the undo of a run whose runner and watchdog are gone; safe to repeat."""
    if not folder.is_dir():
        raise HarnessError(f"there is no run folder {folder}", hint="name a folder below reports/")
    journal = UndoJournal(RunDir(folder))
    if not journal.pending():
        OUT.print(f"{folder}: nothing is left to undo")
        return
    end_processes(RunDir(folder))
    results = journal.replay(load_target(target))
    for result in results:
        OUT.print(str(result))
    if journal.pending():
        raise HarnessError("not everything could be undone", hint="mend what it says above and run this again")


@app.command()
def doctor(target: TargetFile = DEFAULT_TARGET, *, as_json: AsJson = False) -> None:
    """Tell what this machine lacks: for the harness, for the target, and for the lab where it is installed."""
    found = previews.doctor(target)
    lab = Path(sys.executable).parent / "lab"
    program = str(lab) if lab.exists() else shutil.which("lab")
    if as_json:
        own = [{"source": c.source, "ok": c.ok, "found": c.found} for c in found]
        said = (
            subprocess.run([program, "doctor", "--json"], capture_output=True, text=True, check=False)
            if program
            else None
        )
        OUT.print_json(json.dumps({"target": own, "lab": json.loads(said.stdout) if said and said.stdout else None}))
        code = said.returncode if said else 0
    else:
        previews.show_capabilities(found, OUT, f"target ({target})")
        code = subprocess.run([program, "doctor"], check=False).returncode if program else 0
    if code or not all(capability.ok for capability in found):
        raise typer.Exit(ExitCode.HARNESS_BROKE)


def _previewed(checked: Plan, where: Target, *, quiet: bool) -> previews.Preview:
    with Progress(ERR, quiet=quiet, title=f"plan {checked.name}") as progress:
        progress.say(f"looking at what it would hit on target {where.name}")
        return previews.preview(checked, where)


def _judge_and_report(folder: RunDir, *, as_json: bool, quiet: bool, reports: bool = True) -> None:
    timeline = load_timeline(folder.path)
    verdicts = judge_timeline(timeline)
    text = verdicts_to_json(verdicts)
    folder.verdicts.write_text(text)
    written = write_reports(folder, timeline, verdicts) if reports else []
    outcome = outcome_of(verdicts)
    if as_json:
        sys.stdout.write(text)
    elif quiet:
        OUT.print(f"{outcome} {folder.path}")
    else:
        OUT.print(verdict_table(timeline, verdicts))
        for path in written:
            OUT.print(f"[dim]{path}[/dim]")
    raise typer.Exit(OF_OUTCOME[outcome])


def main() -> None:
    """Run the command line; errors meant for people come without a traceback, with an exit code of their kind."""
    sys.exit(_guarded(lambda: app(standalone_mode=False)))


def _guarded(command: Callable[[], object]) -> int:
    try:
        code = command()
    except typer.Exit as done:
        return int(done.exit_code)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it must not end with the code of a failed verdict
        return _say_error(error)
    return int(code) if isinstance(code, int) else ExitCode.PASS


def _say_error(error: BaseException) -> ExitCode:
    """Tell a person what went wrong; the code that says which kind it was."""
    if isinstance(error, KeyboardInterrupt | Interrupted | typer.Abort | BrokenPipeError):
        ERR.print(f"interrupted: {error}", markup=False)
        return ExitCode.INTERRUPTED
    usage = _usage_error(error)
    if isinstance(error, HarnessError) or usage:
        ERR.print(usage or str(error), style="red", markup=False, soft_wrap=True)
        return ExitCode.BAD_PLAN if usage or isinstance(error, PlanError) else ExitCode.HARNESS_BROKE
    ERR.print_exception()
    return ExitCode.HARNESS_BROKE


def _usage_error(error: BaseException) -> str | None:
    """What click says of a command line that it cannot read; None for any other error."""
    shown = getattr(error, "format_message", None)
    return str(shown()) if callable(shown) else None
