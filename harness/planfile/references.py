"""What in a plan refers to something else: stages, experiments and files that must be there and fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

from harness.model.claims import CLAIMS, Bounds
from harness.model.errors import PlanError
from harness.planfile.experimentfile import experiment_faults
from harness.planfile.profilefile import profile_faults
from harness.planfile.schema import LONGEST, PlanFile
from harness.yamlfile import Location, did_you_mean, field_name, line_of

Found = tuple[Location, str, str]  # where, what, hint


def faults_of(written: PlanFile, document: Any, path: Path, folders: tuple[Path, ...]) -> list[PlanError]:
    """Every fault of *written* that its schema cannot see, in order of the file's lines."""
    found = [*_stages(written), *_experiments(written), *_objectives(written), *_expectations(written)]
    found += _missing_files(written, folders)
    here = [
        PlanError(message, file=str(path), line=line_of(document, location), field=field_name(location), hint=hint)
        for location, message, hint in found
    ]
    here.sort(key=lambda error: error.line or 0)
    return here + [fault for checked in _readable_files(written, folders) for fault in checked]


def _twice(names: Sequence[str], field: Location, key: str = "name") -> Iterator[Found]:
    for name, count in Counter(names).items():
        if count > 1:
            index = len(names) - 1 - names[::-1].index(name)
            yield (*field, index, key), f"{name!r} stands {count} times", "each needs a name of its own"


def _stages(written: PlanFile) -> Iterator[Found]:
    yield from _twice([stage.name for stage in written.load.stages], ("load", "stages"))
    total = sum(stage.seconds for stage in written.load.stages)
    if total > LONGEST:
        yield ("load", "stages"), f"the stages last {total:.0f} s in all", f"at most {LONGEST:.0f} s (2 h) in one run"


def _unknown(location: Location, what: str, name: str, known: Sequence[str]) -> Found:
    hint = did_you_mean(name, known) if known else f"the plan has no {what}"
    return location, f"there is no {what} {name!r}", hint


def _experiments(written: PlanFile) -> Iterator[Found]:
    yield from _twice([experiment.name for experiment in written.experiments], ("experiments",))
    lasts = {stage.name: stage.seconds for stage in written.load.stages}
    for index, experiment in enumerate(written.experiments):
        if experiment.stage not in lasts:
            yield _unknown(("experiments", index, "stage"), "stage", experiment.stage, list(lasts))
        elif experiment.after >= lasts[experiment.stage]:
            yield (
                ("experiments", index, "after"),
                f"{experiment.after:g} s is past the end of stage {experiment.stage!r} ({lasts[experiment.stage]:g} s)",
                "start the experiment within its stage, or name a later stage",
            )


def _objectives(written: PlanFile) -> Iterator[Found]:
    yield from _twice([objective.name for objective in written.objectives], ("objectives",))
    known = [stage.name for stage in written.load.stages]
    for index, objective in enumerate(written.objectives):
        yield from _twice(objective.phases, ("objectives", index, "phases"), "")
        for place, phase in enumerate(objective.phases):
            if phase not in known:
                yield _unknown(("objectives", index, "phases", place), "stage", phase, known)


def _expectations(written: PlanFile) -> Iterator[Found]:
    known = {
        "stage": [stage.name for stage in written.load.stages],
        "experiment": [experiment.name for experiment in written.experiments],
    }
    for index, item in enumerate(written.expectations):
        (claim,) = item.model_fields_set
        for parameter, kind in references(claim).items():
            name = getattr(getattr(item, claim), parameter)
            if name not in known[kind]:
                yield _unknown(("expectations", index, claim, parameter), kind, name, known[kind])


def references(claim: str) -> Mapping[str, str]:
    """Which parameters of *claim* name a stage or an experiment of the plan."""
    hints = get_type_hints(CLAIMS[claim], include_extras=True)
    bounds = {name: next(b for b in get_args(hint) if isinstance(b, Bounds)) for name, hint in hints.items()}
    return {name: bound.refers for name, bound in bounds.items() if bound.refers}


def _named_files(written: PlanFile) -> Iterator[tuple[Location, str]]:
    yield ("load", "profile"), written.load.profile
    for index, experiment in enumerate(written.experiments):
        yield ("experiments", index, "file"), experiment.file


def find(name: str, folders: tuple[Path, ...]) -> Path | None:
    """The file that a plan calls *name*, or None."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _missing_files(written: PlanFile, folders: tuple[Path, ...]) -> Iterator[Found]:
    for location, name in _named_files(written):
        if find(name, folders) is None:
            places = ", ".join(dict.fromkeys(str(folder) for folder in folders))
            yield location, f"there is no file {name}", f"looked in {places}"


def _readable_files(written: PlanFile, folders: tuple[Path, ...]) -> Iterator[list[PlanError]]:
    for location, name in dict.fromkeys(_named_files(written)):
        found = find(name, folders)
        if found is not None:
            yield profile_faults(found) if location == ("load", "profile") else experiment_faults(found)
