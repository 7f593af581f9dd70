"""What a plan would do to a target, and what its verdicts would rest on; nothing is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.chaos.preview import Preview as Hit
from harness.chaos.preview import preview as hit_by
from harness.judge.judge import verifiers
from harness.load.locust_process import check_profile
from harness.model.plan import Plan
from harness.target.capabilities import Capability, probe
from harness.target.target import Target
from harness.target.targetfile import load_target


@dataclass(frozen=True, slots=True)
class Claim:
    """One verdict that the plan asks for, the sources it reads, and those of them that do not answer."""

    title: str
    needs: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """All that can be known before the run."""

    plan: Plan
    target: Target
    capabilities: tuple[Capability, ...]
    users: tuple[str, ...]
    hits: tuple[Hit, ...]
    claims: tuple[Claim, ...]

    def document(self) -> dict[str, Any]:
        """The preview as plain JSON data."""
        return {
            "plan": self.plan.name,
            "target": self.target.summary(),
            "seconds": self.plan.load.seconds,
            "capabilities": [{"source": c.source, "ok": c.ok, "found": c.found} for c in self.capabilities],
            "load": {"profile": self.plan.load.profile, "users": list(self.users)},
            "experiments": [_hit_document(hit, self.plan) for hit in self.hits],
            "verdicts": [{"title": c.title, "needs": list(c.needs), "missing": list(c.missing)} for c in self.claims],
        }


def preview(plan: Plan, target: Target) -> Preview:
    """
    Resolve *plan* on *target*: real pods and subnets, blast radius, evidence.

    Raises PlanError when a fault would hit nothing or the profile does not load, TargetError when the Kubernetes API
    cannot be asked. A source of evidence that does not answer is told, not refused: it makes verdicts inconclusive.
    """
    users = check_profile(plan.load.profile)
    hits = tuple(hit_by(experiment, plan, target) for experiment in plan.experiments)
    capabilities = probe(target)
    silent = {capability.source for capability in capabilities if not capability.ok}
    claims = tuple(
        Claim(_title(one.claim, one.subject), tuple(one.needs), tuple(s for s in one.needs if s in silent))
        for one in verifiers(plan)
    )
    return Preview(plan, target, capabilities, users, hits, claims)


def doctor(target_file: Path) -> tuple[Capability, ...]:
    """Whether the target file can be read and each of its doors answers."""
    try:
        return probe(load_target(target_file))
    except Exception as error:  # noqa: BLE001 - the doctor tells what is wrong, whatever it is
        return (Capability("target file", ok=False, found=str(error)),)


def show(found: Preview, console: Console) -> None:
    """Print the preview for a person."""
    plan = found.plan
    console.print(f"[bold]{plan.title}[/bold]  ({plan.name}, seed {plan.seed}) on target {found.target.name}")
    console.print(_timetable(found))
    for hit in found.hits:
        for step in hit.steps:
            where = (
                "hits"
                if step.harm is not None
                else "does no harm"
                if step.known
                else "unknown to the harness, runs as is"
            )
            console.print(f"  [bold]{hit.experiment}[/bold] {step.name}: {where}", markup=True)
            if step.harm is not None:
                console.print(Text(f"    {step.harm.said}"))
    show_capabilities(found.capabilities, console, "sources of evidence")
    table = Table(title="verdicts", title_justify="left")
    for column in ("claim", "reads", "can be given"):
        table.add_column(column, overflow="fold")
    for claim in found.claims:
        given = (
            Text("yes", style="green") if not claim.missing else Text(f"no: {', '.join(claim.missing)}", style="red")
        )
        table.add_row(Text(claim.title), ", ".join(claim.needs), given)
    console.print(table)


def show_capabilities(capabilities: Sequence[Capability], console: Console, title: str) -> None:
    """Print which doors answer."""
    table = Table(title=title, title_justify="left")
    for column in ("source", "answers", "found"):
        table.add_column(column, overflow="fold")
    for capability in capabilities:
        answers = Text("yes", style="green") if capability.ok else Text("no", style="red")
        table.add_row(capability.source, answers, Text(capability.found))
    console.print(table)


def _title(claim: str, subject: str) -> str:
    return f"{claim}: {subject}" if subject else claim


def _timetable(found: Preview) -> Table:
    table = Table(
        title=f"timetable, {found.plan.load.seconds:.0f} s of load by {found.plan.load.profile}", title_justify="left"
    )
    for column in ("at", "what", "details"):
        table.add_column(column, overflow="fold")
    rows = [
        (start, f"load stage {stage.name}", f"{stage.users} users for {stage.seconds:.0f} s")
        for stage, start in zip(found.plan.load.stages, found.plan.stage_starts().values(), strict=True)
    ]
    rows += [(found.plan.experiment_start(e), f"experiment {e.name}", e.file) for e in found.plan.experiments]
    for at, what, details in sorted(rows):
        table.add_row(f"{at:.0f} s", what, details)
    return table


def _hit_document(hit: Hit, plan: Plan) -> dict[str, Any]:
    experiment = next(e for e in plan.experiments if e.name == hit.experiment)
    return {
        "name": hit.experiment,
        "title": hit.title,
        "at": plan.experiment_start(experiment),
        "hits": [{"action": s.action, "harm": None if s.harm is None else asdict(s.harm)} for s in hit.steps],
    }
