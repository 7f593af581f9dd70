"""The requests of a timeline as columns that can be counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.model.timeline import Requests, Timeline, Window

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Traffic:
    """
    Every request: *due* when the schedule wanted it (or when it was sent, where there is no schedule), *took* seconds
    from then to its answer, *good* whether it was answered without error, *zone* and *pod* who answered.
    """

    due: Floats
    start: Floats
    took: Floats
    good: Flags
    answered: Flags
    name: npt.NDArray[np.object_]
    zone: npt.NDArray[np.object_]
    pod: npt.NDArray[np.object_]

    @classmethod
    def of(cls, timeline: Timeline) -> Traffic:
        """The traffic of *timeline*."""
        requests = timeline.requests
        start = np.asarray(requests.start, dtype=np.float64)
        intended = np.asarray(requests.intended, dtype=np.float64)
        due = np.where(np.isfinite(intended), intended, start) if len(intended) else start
        latency = np.asarray(requests.latency, dtype=np.float64)
        error = np.asarray(requests.error, dtype=object)
        status = np.asarray(requests.status, dtype=np.int64)
        return cls(
            due=due,
            start=start,
            took=start + latency - due,
            good=np.asarray(error == "", dtype=np.bool_),
            answered=np.asarray(status > 0, dtype=np.bool_),
            name=np.asarray(requests.name, dtype=object),
            zone=np.asarray(requests.zone, dtype=object),
            pod=np.asarray(requests.pod, dtype=object),
        )

    def during(self, window: Window) -> Flags:
        """Which requests were due in *window*."""
        return (self.due >= window.start) & (self.due < window.end)


def own_lateness(requests: Requests) -> Floats:
    """How long after its intended moment each request was sent, in seconds; those without a schedule left out."""
    lateness = np.asarray(requests.start, dtype=np.float64) - np.asarray(requests.intended, dtype=np.float64)
    return lateness[np.isfinite(lateness)]


def good_rate_returns(traffic: Traffic, window: Window, rate: float, seconds: int) -> float | None:
    """
    The start of the first *seconds* in a row of *window*, each with requests, in which at least *rate* (0..1) of all
    requests were good; None when there are none.
    """
    mask = traffic.during(window)
    whole = int(window.seconds)
    if whole < seconds:
        return None
    second = np.minimum((traffic.due[mask] - window.start).astype(np.int64), whole)
    total = np.bincount(second, minlength=whole)[:whole]
    good = np.bincount(second[traffic.good[mask]], minlength=whole)[:whole]
    for first in range(whole - seconds + 1):
        span = slice(first, first + seconds)
        if total[span].all() and good[span].sum() >= rate * total[span].sum():
            return window.start + first
    return None
