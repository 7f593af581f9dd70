"""Auto Scaling groups and their activities, as the AWS API tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from harness.model.errors import CollectorLost
from harness.rundir import RunDir

SOURCE = "autoscaling"
FINAL = ("Successful", "Failed", "Cancelled")


def group_value(group: Mapping[str, Any]) -> dict[str, Any]:
    """What the record says of a group; its instances in order of their ids, so that equal groups compare equal."""
    return {
        "desired": group["DesiredCapacity"],
        "min": group["MinSize"],
        "max": group["MaxSize"],
        "instances": sorted(
            (
                {
                    "id": instance["InstanceId"],
                    "zone": instance.get("AvailabilityZone", ""),
                    "lifecycle": instance.get("LifecycleState", ""),
                    "health": instance.get("HealthStatus", ""),
                }
                for instance in group.get("Instances", ())
            ),
            key=lambda instance: str(instance["id"]),
        ),
    }


def activity_value(activity: Mapping[str, Any]) -> dict[str, Any]:
    """What the record says of an activity; *start* and *end* in Unix seconds, *end* None while it goes on."""
    return {
        "id": activity["ActivityId"],
        "status": activity["StatusCode"],
        "cause": activity.get("Cause", ""),
        "description": activity.get("Description", ""),
        "message": activity.get("StatusMessage", ""),
        "start": _seconds(activity.get("StartTime")),
        "end": _seconds(activity.get("EndTime")),
    }


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


class Autoscaling:
    """The groups *names* as a source of events; *connect* makes the boto3 client once it is needed."""

    def __init__(self, names: tuple[str, ...], connect: Callable[[], Any]) -> None:
        self._names = names
        self._connect = connect
        self._client: Any = None
        self._folder: RunDir | None = None
        self._groups: dict[str, dict[str, Any]] = {}
        self._statuses: dict[str, str] = {}
        self._primed: set[str] = set()

    def open(self, folder: RunDir) -> None:
        """Begin to write; boto3 makes no connection yet."""
        self._folder = folder
        self._client = self._connect()

    def poll(self) -> None:
        """Write what differs from the last look. Raises CollectorLost when a group is gone."""
        answer = self._client.describe_auto_scaling_groups(AutoScalingGroupNames=list(self._names))
        found = {group["AutoScalingGroupName"]: group for group in answer["AutoScalingGroups"]}
        for name in self._names:
            if name in found:
                self._look_at_group(name, group_value(found[name]))
                self._look_at_activities(name)
        missing = [name for name in self._names if name not in found]
        if missing:
            raise CollectorLost(
                f"no such Auto Scaling group: {', '.join(missing)}", hint="see the target file's aws section"
            )

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()

    def _look_at_group(self, name: str, value: dict[str, Any]) -> None:
        if self._groups.get(name) != value:
            self._groups[name] = value
            self._write("group.changed", name, value, None)

    def _look_at_activities(self, name: str) -> None:
        answer = self._client.describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=50)
        first = name not in self._primed
        for activity in reversed(answer["Activities"]):  # AWS tells the latest first
            value = activity_value(activity)
            if self._statuses.get(value["id"]) == value["status"]:
                continue
            self._statuses[value["id"]] = value["status"]
            # What was over before anybody looked is no part of this run.
            if not (first and value["status"] in FINAL):
                self._write("activity.seen", name, value, value["end"] or value["start"])
        self._primed.add(name)

    def _write(self, kind: str, subject: str, value: dict[str, Any], stamp: float | None) -> None:
        if self._folder is not None:
            self._folder.append_event(SOURCE, kind, subject, value, stamp=stamp)
