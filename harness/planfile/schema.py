"""The shape of a plan file: fields, types and bounds; what refers to what is checked in `harness.planfile.references`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

from pydantic import BeforeValidator, Field, create_model, model_validator

from harness.model.claims import CLAIMS, Bounds
from harness.yamlfile import Strict, refusal

LONGEST = 7200.0  # seconds of load in all; the record is held in memory to be judged
MOST_USERS = 10_000  # one Locust process is honest up to about here

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[hms])+")


def seconds(value: Any) -> Any:
    """Seconds from a number, or from text like `90s`, `2m` or `1m30s`; anything else passes through to be refused."""
    if isinstance(value, str):
        if not _DURATION.fullmatch(value):
            raise refusal("a number of seconds, or a duration, is expected", "write it like 90, 90s, 2m or 1m30s")
        return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([hms])", value))
    return value


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Duration = Annotated[Number, Field(gt=0, le=LONGEST), BeforeValidator(seconds)]
Delay = Annotated[Number, Field(ge=0, le=LONGEST), BeforeValidator(seconds)]
Fraction = Annotated[Number, Field(gt=0, le=1)]


class StageFile(Strict):
    """A span of the load."""

    name: Name
    seconds: Duration
    users: Annotated[Whole, Field(ge=1, le=MOST_USERS)]
    spawn_rate: Annotated[Number, Field(gt=0, le=1000)] = 10.0


class LoadFile(Strict):
    """Which users come, and when."""

    profile: Text
    stages: Annotated[list[StageFile], Field(min_length=1)]


class ExperimentFile(Strict):
    """A Chaos Toolkit document and when it starts."""

    name: Name
    file: Text
    stage: Name
    after: Delay = 0.0
    configuration: dict[str, Any] = Field(default_factory=dict)


class ObjectiveFile(Strict):
    """A service level objective."""

    name: Text
    sli: Literal["availability", "latency"]
    objective: Fraction
    phases: Annotated[list[Name], Field(min_length=1)]
    threshold: Annotated[Number, Field(gt=0, le=LONGEST), BeforeValidator(seconds)] | None = None
    requests: str = ""
    least_requests: Annotated[Whole, Field(ge=1)] = 100

    @model_validator(mode="after")
    def _threshold_with_latency(self) -> ObjectiveFile:
        if self.sli == "latency" and self.threshold is None:
            raise refusal("a latency objective needs `threshold`, in seconds", "add `threshold: 0.5`, say")
        if self.sli == "availability" and self.threshold is not None:
            raise refusal("an availability objective has no `threshold`", "write `sli: latency`, or leave it out")
        return self


def _parameter(annotated: Any) -> Any:
    """A claim's parameter as pydantic reads it."""
    kind, *extras = get_args(annotated)
    bounds = next(extra for extra in extras if isinstance(extra, Bounds))
    limits = Field(gt=bounds.above, ge=bounds.at_least, le=bounds.at_most, pattern=bounds.pattern)
    if kind is float:
        return Annotated[Number, limits, BeforeValidator(seconds)]
    return Annotated[Whole, limits] if kind is int else Annotated[str, limits]


def _parameters(name: str, claim: type[Any]) -> type[Strict]:
    hints = get_type_hints(claim, include_extras=True)
    fields: dict[str, Any] = {field: (_parameter(hint), ...) for field, hint in hints.items()}
    return create_model(name, __base__=Strict, **fields)


class _OneClaim(Strict):
    @model_validator(mode="after")
    def _exactly_one(self) -> _OneClaim:
        if len(self.model_fields_set) != 1:
            said = "exactly one verifier with its parameters is expected in each item of this list"
            raise refusal(said, f"begin each with `- `; verifiers are {', '.join(sorted(CLAIMS))}")
        return self


if TYPE_CHECKING:
    ExpectationFile = _OneClaim
else:
    _choices = {name: (_parameters(name, claim) | None, None) for name, claim in CLAIMS.items()}
    ExpectationFile = create_model("ExpectationFile", __base__=_OneClaim, **_choices)


class SettleFile(Strict):
    """What is awaited before the run."""

    within: Delay = 0.0
    hpas_at_minimum: bool = False
    groups_at_minimum: bool = False


class PlanFile(Strict):
    """One game-day, as a person writes it."""

    name: Name
    title: Text
    seed: Annotated[Whole, Field(ge=0, lt=2**63)]
    load: LoadFile
    settle: SettleFile = Field(default_factory=SettleFile)
    experiments: list[ExperimentFile] = Field(default_factory=list)
    objectives: list[ObjectiveFile] = Field(default_factory=list)
    expectations: list[ExpectationFile] = Field(default_factory=list)

    @model_validator(mode="after")
    def _claims_something(self) -> PlanFile:
        if not self.objectives and not self.expectations:
            said = "a plan needs objectives or expectations: without any, no run could show anything"
            raise refusal(said, "see gamedays/first.yaml for some of each")
        return self
