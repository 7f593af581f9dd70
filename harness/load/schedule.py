"""
When users act: stages of users over time, and each user's schedule of journeys. Arithmetic only; imports no locust.

Times are seconds on one clock that the caller reads; nothing here looks at a clock or sleeps.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.model.plan import Stage

SPAWN_RATE = 10.0  # users a second, where stages do not say
# Successive multiples of it spread over [0, 1) more evenly than random numbers do: users' offsets never bunch.
GOLDEN = (math.sqrt(5) - 1) / 2


def parse_stages(text: str) -> tuple[Stage, ...]:
    """The stages in *text*, a JSON list of objects with name, seconds, users and, if wanted, spawn_rate."""
    documents: Sequence[Mapping[str, Any]] = json.loads(text)
    stages = tuple(
        Stage(str(said["name"]), float(said["seconds"]), int(said["users"]), float(said.get("spawn_rate", SPAWN_RATE)))
        for said in documents
    )
    if not stages or any(s.seconds <= 0 or s.users < 0 or s.spawn_rate <= 0 for s in stages):
        raise ValueError(f"stages need seconds > 0, users >= 0 and spawn_rate > 0, and there must be one: {text}")
    return stages


def dump_stages(stages: Sequence[Stage]) -> str:
    """*stages* as `parse_stages` reads them."""
    return json.dumps(
        [{"name": s.name, "seconds": s.seconds, "users": s.users, "spawn_rate": s.spawn_rate} for s in stages]
    )


def users_at(stages: Sequence[Stage], elapsed: float) -> int | None:
    """How many users there should be *elapsed* seconds after the start; None once the last stage is over."""
    users = 0.0
    for stage in stages:
        inside = min(elapsed, stage.seconds)
        change = stage.users - users
        users += math.copysign(min(abs(change), stage.spawn_rate * max(0.0, inside)), change)
        if elapsed < stage.seconds:
            return round(users)
        elapsed -= stage.seconds
    return None


@dataclass(frozen=True, slots=True)
class Start:
    """
    The next journey of a user: when it was *intended*, and how long to *wait* until then.

    *busy*: its time came while the user was still in an earlier journey, so its lateness is the service's doing; else
    the user stood idle, and whatever lateness shows is the generator's own. *dropped* journeys were given up before it.
    """

    intended: float
    wait: float
    busy: bool
    dropped: int


@dataclass(slots=True, eq=False)
class Pace:
    """
    One user's schedule: a journey every *every* seconds from *first* on, whatever the service does.

    A user that is busy at an intended time catches up as soon as it is free. No more than *backlog_limit* journeys are
    owed at once: beyond that the oldest are dropped, and counted.
    """

    every: float
    first: float
    backlog_limit: int = 10
    started: int = 0
    dropped: int = 0
    left: float | None = None

    @classmethod
    def joining(cls, now: float, every: float, offset: float, *, zero: float = 0.0) -> Pace:
        """The pace of a user that comes at *now* and keeps to the grid *zero* + *offset* + k times *every*."""
        turns = math.ceil((now - zero - offset) / every)
        first = zero + offset + turns * every
        # Rounding may put the grid point a hair before now; the schedule begins with the user, not before.
        return cls(every, first if first >= now else first + every)

    def offered(self, now: float) -> int:
        """How many journeys the schedule wanted up to *now*."""
        end = now if self.left is None else min(now, self.left)
        return 0 if end < self.first else math.floor((end - self.first) / self.every) + 1

    def backlog(self, now: float) -> int:
        """How many journeys are owed at *now*: wanted, neither started nor dropped."""
        return max(0, self.offered(now) - self.started - self.dropped)

    def next(self, now: float) -> Start:
        """The journey to start next, by a user that is free at *now*; it counts as started by `begin`."""
        over = max(0, self.backlog(now) - self.backlog_limit)
        self.dropped += over
        intended = self.first + (self.started + self.dropped) * self.every
        return Start(intended, max(0.0, intended - now), busy=intended <= now, dropped=over)

    def begin(self) -> None:
        """The journey that `next` gave is under way."""
        self.started += 1

    def leave(self, now: float) -> None:
        """The user goes: what it owes is dropped, and nothing more is wanted of it."""
        if self.left is None:
            self.left = now
            self.dropped += self.backlog(now)


@dataclass(frozen=True, slots=True)
class Tally:
    """
    The load as it stands: journeys cumulative, lateness in seconds, the worst since the last look.

    *late* is the generator's own (an idle user began late), *behind* the service's (a busy one did). *abandoned* are
    the completed journeys that ended early, because a step failed that the next one needs.
    """

    offered: int
    started: int
    completed: int
    abandoned: int
    dropped: int
    late: float
    behind: float


@dataclass(slots=True)
class Ledger:
    """All users' schedules together, of those that are there and of those that went."""

    seed: int = 0
    zero: float | None = None
    completed: int = 0
    abandoned: int = 0
    _paces: list[Pace] = field(default_factory=list)
    _gone: list[int] = field(default_factory=lambda: [0, 0, 0])
    _joined: int = 0
    _late: float = 0.0
    _behind: float = 0.0

    def join(self, now: float, every: float) -> Pace:
        """The pace of one more user; the first one's coming is the grid's zero."""
        if self.zero is None:
            self.zero = now
        phase = random.Random(self.seed).random() + self._joined * GOLDEN
        self._joined += 1
        pace = Pace.joining(now, every, (phase % 1.0) * every, zero=self.zero)
        self._paces.append(pace)
        return pace

    def began(self, start: Start, now: float) -> None:
        """A journey began at *now*: its lateness is put down to who caused it."""
        lateness = max(0.0, now - start.intended)
        if start.busy:
            self._behind = max(self._behind, lateness)
        else:
            self._late = max(self._late, lateness)

    def leave(self, pace: Pace, now: float) -> None:
        """A user went; its totals stay."""
        if pace not in self._paces:
            return
        pace.leave(now)
        self._paces = [other for other in self._paces if other is not pace]
        for index, count in enumerate((pace.offered(now), pace.started, pace.dropped)):
            self._gone[index] += count

    def tally(self, now: float) -> Tally:
        """How the load stands at *now*; the worst latenesses start anew."""
        offered, started, dropped = self._gone
        for pace in self._paces:
            offered += pace.offered(now)
            started += pace.started
            dropped += pace.dropped
        late, self._late = self._late, 0.0
        behind, self._behind = self._behind, 0.0
        return Tally(offered, started, self.completed, self.abandoned, dropped, late, behind)
