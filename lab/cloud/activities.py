"""The scaling activities of one Auto Scaling group, as `DescribeScalingActivities` tells them. Server side."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from moto.core.utils import utcnow

KEPT = 1000


@dataclass(slots=True)
class Activity:
    """One launch or termination; *status* is InProgress, Successful, Failed or Cancelled."""

    group: str
    instance: str
    description: str
    cause: str
    start: datetime = field(default_factory=utcnow)
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "InProgress"
    message: str | None = None
    end: datetime | None = None

    def finish(self, status: str, message: str | None = None) -> None:
        """It ended now with *status*."""
        self.status, self.message, self.end = status, message, utcnow()

    def shown(self) -> dict[str, Any]:
        """It, as AWS names its parts."""
        return {
            "ActivityId": self.id,
            "AutoScalingGroupName": self.group,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.start,
            "EndTime": self.end,
            "StatusCode": self.status,
            "StatusMessage": self.message,
            "Progress": 50 if self.end is None else 100,
            "Details": "{}",
        }


class Activities:
    """The activities of all groups, newest last; those of a deleted group stay."""

    def __init__(self) -> None:
        self._kept: deque[Activity] = deque(maxlen=KEPT)

    def launching(self, group: str, instance: str, cause: str) -> Activity:
        """The launch of *instance* begins; empty when EC2 refused to make one."""
        which = f": {instance}" if instance else ""
        return self._begin(Activity(group, instance, f"Launching a new EC2 instance{which}", cause))

    def terminating(self, group: str, instance: str, cause: str) -> Activity:
        """The termination of *instance* begins."""
        return self._begin(Activity(group, instance, f"Terminating EC2 instance: {instance}", cause))

    def _begin(self, activity: Activity) -> Activity:
        self._kept.append(activity)
        return activity

    def describe(self, group: str | None, ids: list[str]) -> list[Activity]:
        """Those of *group* (None: any) with one of *ids* (none: any), newest first."""
        wanted = (a for a in reversed(self._kept) if group in (None, a.group))
        return [activity for activity in wanted if not ids or activity.id in ids]


ACTIVITIES = Activities()


def stamp() -> str:
    """Now, as the causes of activities write it."""
    return f"{utcnow():%Y-%m-%dT%H:%M:%SZ}"
