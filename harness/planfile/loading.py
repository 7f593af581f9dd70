"""From a plan file to a Plan of which every part was checked; nothing is touched and nothing is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.model.plan import Expectation, Experiment, Load, Objective, Plan, Settle, Stage
from harness.planfile.references import faults_of, find
from harness.planfile.schema import PlanFile
from harness.yamlfile import check, read_yaml, several


def load_plan(path: Path) -> Plan:
    """
    The plan that *path* describes, its files found beside it, above it, or below the working folder.

    Raises PlanError that names every fault found, the first one's file, line and field in front.
    """
    document = read_yaml(path)
    written = check(document, PlanFile, path)
    folders = _search(path)
    faults = faults_of(written, document, path, folders)
    if faults:
        raise several(faults)
    return _resolved(written, path, folders)


def _search(path: Path) -> tuple[Path, ...]:
    """Where a plan's files may lie: beside it, one folder up (the checkout, for `gamedays/x.yaml`), or right here."""
    beside = path.resolve().parent
    return (beside, beside.parent, Path.cwd())


def _shown(path: Path) -> str:
    """*path* from the working folder when it lies below, else in full: what the record keeps."""
    resolved = path.resolve()
    here = Path.cwd().resolve()
    return str(resolved.relative_to(here) if resolved.is_relative_to(here) else resolved)


def _resolved(written: PlanFile, path: Path, folders: tuple[Path, ...]) -> Plan:
    def file(name: str) -> str:
        found = find(name, folders)
        assert found is not None  # noqa: S101 - `faults_of` has refused what is missing
        return _shown(found)

    return Plan(
        name=written.name,
        title=written.title,
        seed=written.seed,
        load=Load(file(written.load.profile), tuple(Stage(**s.model_dump()) for s in written.load.stages)),
        experiments=tuple(Experiment(**{**e.model_dump(), "file": file(e.file)}) for e in written.experiments),
        objectives=tuple(Objective(**{**o.model_dump(), "phases": tuple(o.phases)}) for o in written.objectives),
        expectations=tuple(_expectation(item) for item in written.expectations),
        file=_shown(path),
        settle=Settle(**written.settle.model_dump()),
    )


def _expectation(item: Any) -> Expectation:
    (name,) = item.model_fields_set
    return Expectation(name, getattr(item, name).model_dump())
