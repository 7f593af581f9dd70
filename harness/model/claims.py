"""What an expectation of a plan may claim, and with which parameters: read by `harness.planfile`, proved by `harness.judge`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a parameter's value must obey; *refers* says that it names a `stage` or an `experiment` of the plan."""

    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    pattern: str | None = None
    refers: str = ""


Seconds = Annotated[float, Bounds(above=0, at_most=7200)]
Fraction = Annotated[float, Bounds(above=0, at_most=1)]
Count = Annotated[int, Bounds(at_least=1, at_most=10_000)]
StageName = Annotated[str, Bounds(refers="stage")]
FaultName = Annotated[str, Bounds(refers="experiment")]
ObjectName = Annotated[str, Bounds(pattern=r"^[a-z0-9.-]+/[a-z0-9.-]+$")]
Name = Annotated[str, Bounds(pattern=r"^[A-Za-z0-9.-]+$")]


@dataclass(frozen=True, slots=True)
class HpaScalesOut:
    """Within *within* seconds of *stage*'s start, the deployment that *hpa* (namespace/name) scales has *replicas* ready."""

    hpa: ObjectName
    stage: StageName
    replicas: Count
    within: Seconds


@dataclass(frozen=True, slots=True)
class ClusterAutoscalerAddsNodes:
    """The first pod that cannot be scheduled in *stage* leads to a new node and a ready pod on it within *within* seconds."""

    stage: StageName
    within: Seconds


@dataclass(frozen=True, slots=True)
class PodsReplaced:
    """Within *within* seconds of the harm, as many pods are ready as before *fault* killed some."""

    fault: FaultName
    within: Seconds


@dataclass(frozen=True, slots=True)
class ZoneSurvived:
    """
    While *fault* cuts *zone* off, at least *availability* (0..1) of the requests are good, and they are good again
    within *recovers_within* seconds of the harm, and the zone's nodes are ready that soon after it is undone.
    """

    fault: FaultName
    zone: Name
    availability: Fraction
    recovers_within: Seconds


CLAIMS: Mapping[str, type[Any]] = {
    "hpa_scales_out": HpaScalesOut,
    "cluster_autoscaler_adds_nodes": ClusterAutoscalerAddsNodes,
    "pods_replaced": PodsReplaced,
    "zone_survived": ZoneSurvived,
}
