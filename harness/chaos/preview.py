"""What an experiment would hit, asked of the real target; nothing is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.exceptions
import kubernetes.client
import urllib3.exceptions

from harness.chaos.actions import FAULTS, HARMLESS, Fault, Harm
from harness.chaos.document import configured, substituted
from harness.model.errors import PlanError, TargetError
from harness.model.plan import Experiment, Plan
from harness.target.target import Target
from harness.yamlfile import Location, field_name, line_of, read_yaml

_UNREACHABLE = (
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    kubernetes.client.ApiException,
    urllib3.exceptions.HTTPError,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One action of the method; *harm* is None when it does none, or when only running it would tell."""

    name: str
    action: str
    arguments: Mapping[str, Any]
    harm: Harm | None
    known: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """An experiment with its real targets resolved."""

    experiment: str
    file: str
    title: str
    steps: tuple[Step, ...]

    @property
    def harms(self) -> tuple[Harm, ...]:
        """What is known to be hit."""
        return tuple(step.harm for step in self.steps if step.harm is not None)


def preview(experiment: Experiment, plan: Plan, target: Target) -> Preview:
    """
    Resolve every action of *experiment* that the harness knows.

    Raises PlanError when one would hit nothing or may not be done, TargetError when the target cannot be asked.
    """
    document = configured(experiment, plan)
    values = document.get("configuration", {})
    steps = tuple(
        _step(activity, values, target, _Place(experiment, plan, index, activity))
        for index, activity in enumerate(document.get("method", ()))
        if activity.get("type") == "action"
    )
    title = str(substituted(document.get("title", ""), values))
    return Preview(experiment.name, experiment.file, title, steps)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an action's arguments were written: in the plan's configuration, else in the experiment itself."""

    experiment: Experiment
    plan: Plan
    index: int
    activity: Mapping[str, Any]

    def refusal(self, error: TargetError) -> PlanError:
        """*error*, at the line that a person has to change."""
        file = Path(self.experiment.file)
        location: Location = ("method", self.index, "provider", "arguments")
        given = self._configured()
        if given and Path(self.plan.file).is_file():
            file, location = Path(self.plan.file), self._in_plan(given)
        return PlanError(
            f"experiment {self.experiment.name!r}: {error.message}",
            file=str(file),
            line=line_of(read_yaml(file), location),
            field=field_name(location),
            hint=error.hint,
        )

    def _configured(self) -> list[str]:
        """What of the plan's configuration the arguments are made of."""
        written = str(self.activity["provider"].get("arguments") or {})
        return [key for key in self.experiment.configuration if f"${{{key}}}" in written]

    def _in_plan(self, given: Sequence[str]) -> Location:
        index = [experiment.name for experiment in self.plan.experiments].index(self.experiment.name)
        whole: Location = ("experiments", index, "configuration")
        return (*whole, given[0]) if len(given) == 1 else whole


def _step(activity: Mapping[str, Any], values: Mapping[str, Any], target: Target, place: _Place) -> Step:
    provider = activity["provider"]
    called = (str(provider.get("module", "")), str(provider.get("func", "")))
    arguments = substituted(provider.get("arguments") or {}, values)
    fault = next((f for f in FAULTS if (f.module, f.action) == called), None)
    action = ".".join(filter(None, called)) or str(provider.get("type"))
    name = activity.get("name", action)
    if fault is None:
        return Step(name, action, arguments, None, known=called in HARMLESS)
    return Step(name, action, arguments, _harm(fault, arguments, target, place), known=True)


def _harm(fault: Fault, arguments: Mapping[str, Any], target: Target, place: _Place) -> Harm:
    try:
        harm: Harm = fault.function(fault.preview)(target, arguments)
    except TargetError as error:
        raise place.refusal(error) from error
    except _UNREACHABLE as error:
        raise TargetError(
            f"target {target.name!r} cannot be asked what {fault.action} would hit: {type(error).__name__}: {error}",
            hint=f"check its addresses and credentials in {target.file}",
        ) from error
    return harm
