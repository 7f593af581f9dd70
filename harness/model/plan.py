"""A plan: load, faults, objectives and expectations, as checked and resolved by `harness.planfile`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Stage:
    """A named span of the load: *seconds* long, ending with *users*; it is also a phase that objectives name."""

    name: str
    seconds: float
    users: int
    spawn_rate: float = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """A Locust profile (a path) and the stages that it is driven through."""

    profile: str
    stages: tuple[Stage, ...]

    @property
    def seconds(self) -> float:
        """How long the load lasts."""
        return sum(stage.seconds for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A Chaos Toolkit document (*file*) that starts *after* seconds into load *stage*, named *name* in the record."""

    name: str
    file: str
    stage: str
    after: float
    configuration: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Objective:
    """
    In each of *phases*, at least *objective* (0..1) of the requests are good.

    Good means answered without error (`availability`), or answered within *threshold* seconds (`latency`; an
    unanswered request is not fast). *requests* narrows it to request names that begin with it.
    """

    name: str
    sli: str
    objective: float
    phases: tuple[str, ...]
    threshold: float | None = None
    requests: str = ""
    least_requests: int = 100


@dataclass(frozen=True, slots=True)
class Expectation:
    """A verifier by name, with its parameters as the plan gives them."""

    verifier: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settle:
    """What is awaited, at most *within* seconds, before the run: a whole stack, and autoscalers at their minimum if asked."""

    within: float = 0.0
    hpas_at_minimum: bool = False
    groups_at_minimum: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One game-day, complete: nothing in it refers to anything that was not checked."""

    name: str
    title: str
    seed: int
    load: Load
    experiments: tuple[Experiment, ...]
    objectives: tuple[Objective, ...]
    expectations: tuple[Expectation, ...]
    file: str = ""
    settle: Settle = field(default_factory=Settle)

    def stage_starts(self) -> dict[str, float]:
        """When each stage begins, in seconds since the load's start."""
        starts: dict[str, float] = {}
        at = 0.0
        for stage in self.load.stages:
            starts[stage.name] = at
            at += stage.seconds
        return starts

    def experiment_start(self, experiment: Experiment) -> float:
        """When *experiment* begins, in seconds since the load's start."""
        return self.stage_starts()[experiment.stage] + experiment.after
