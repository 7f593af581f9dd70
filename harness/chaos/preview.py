"""What an experiment would hit, asked of the real target; nothing is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import botocore.exceptions
import kubernetes.client
import urllib3.exceptions

from harness.chaos.actions import FAULTS, HARMLESS, Fault, Harm
from harness.chaos.document import configured, substituted
from harness.model.errors import PlanError, TargetError
from harness.model.plan import Experiment, Plan
from harness.target.target import Target

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
        _step(index, activity, values, experiment, target)
        for index, activity in enumerate(document.get("method", ()))
        if activity.get("type") == "action"
    )
    title = str(substituted(document.get("title", ""), values))
    return Preview(experiment.name, experiment.file, title, steps)


def _step(
    index: int, activity: Mapping[str, Any], values: Mapping[str, Any], experiment: Experiment, target: Target
) -> Step:
    provider = activity["provider"]
    called = (str(provider.get("module", "")), str(provider.get("func", "")))
    arguments = substituted(provider.get("arguments") or {}, values)
    fault = next((f for f in FAULTS if (f.module, f.action) == called), None)
    action = ".".join(filter(None, called)) or str(provider.get("type"))
    if fault is None:
        return Step(activity.get("name", action), action, arguments, None, known=called in HARMLESS)
    return Step(
        activity.get("name", action), action, arguments, _harm(fault, arguments, index, experiment, target), known=True
    )


def _harm(fault: Fault, arguments: Mapping[str, Any], index: int, experiment: Experiment, target: Target) -> Harm:
    try:
        harm: Harm = fault.function(fault.preview)(target, arguments)
    except TargetError as error:
        raise PlanError(
            f"experiment {experiment.name!r}: {error.message}",
            file=experiment.file,
            field=f"method[{index}].provider.arguments",
            hint=error.hint,
        ) from error
    except _UNREACHABLE as error:
        raise TargetError(
            f"target {target.name!r} cannot be asked what {fault.action} would hit: {type(error).__name__}: {error}",
            hint=f"check its addresses and credentials in {target.file}",
        ) from error
    return harm
