"""Groups and activities are told when they change, and only then."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from harness.model.errors import CollectorLost
from harness.observe.autoscaling import Autoscaling
from harness.rundir import RunDir, read_lines


def instance(name, lifecycle="InService"):
    return {
        "InstanceId": name,
        "AvailabilityZone": "us-east-1a",
        "LifecycleState": lifecycle,
        "HealthStatus": "Healthy",
    }


def group(desired, *instances):
    sizes = {"DesiredCapacity": desired, "MinSize": 1, "MaxSize": 3}
    return {"AutoScalingGroupName": "workers", **sizes, "Instances": list(instances)}


def activity(name, status, end=None):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return {"ActivityId": name, "StatusCode": status, "Cause": "c", "StartTime": start} | (
        {"EndTime": end} if end else {}
    )


class Aws:
    """Answers as it is told."""

    def __init__(self):
        self.groups, self.activities = [group(1, instance("i-1"))], []

    def describe_auto_scaling_groups(self, **_):
        return {"AutoScalingGroups": self.groups}

    def describe_scaling_activities(self, **_):
        return {"Activities": self.activities}

    def close(self):
        """There is nothing to close."""


@pytest.fixture
def aws():
    return Aws()


@pytest.fixture
def look(aws, tmp_path):
    source = Autoscaling(("workers",), lambda: aws)
    folder = RunDir(tmp_path)
    source.open(folder)

    def once():
        before = len(read_lines(folder.events))
        source.poll()
        return [(event["kind"], event["value"]) for event in read_lines(folder.events)[before:]]

    return once


def test_a_group_is_told_at_first_and_when_it_changes(aws, look):
    ((kind, value),) = look()
    assert kind == "group.changed"
    assert value == {
        "desired": 1,
        "min": 1,
        "max": 3,
        "instances": [{"id": "i-1", "zone": "us-east-1a", "lifecycle": "InService", "health": "Healthy"}],
    }
    assert look() == []
    aws.groups = [group(2, instance("i-2", "Pending"), instance("i-1"))]
    ((_, value),) = look()
    assert [one["lifecycle"] for one in value["instances"]] == ["InService", "Pending"]


def test_instances_in_another_order_are_no_change(aws, look):
    aws.groups = [group(2, instance("i-1"), instance("i-2"))]
    look()
    aws.groups = [group(2, instance("i-2"), instance("i-1"))]
    assert look() == []


def test_an_activity_is_told_once_for_each_status_oldest_first(aws, look):
    look()
    aws.activities = [activity("b", "InProgress"), activity("a", "InProgress")]
    assert [(kind, value["id"]) for kind, value in look()] == [("activity.seen", "a"), ("activity.seen", "b")]
    assert look() == []
    aws.activities = [
        activity("b", "InProgress"),
        activity("a", "Successful", datetime(2026, 1, 1, 0, 0, 9, tzinfo=UTC)),
    ]
    ((_, value),) = look()
    assert (value["id"], value["status"], value["end"] - value["start"]) == ("a", "Successful", 9.0)


def test_what_was_over_before_the_run_is_not_told(aws, look):
    aws.activities = [activity("new", "InProgress"), activity("old", "Successful")]
    assert [value["id"] for kind, value in look() if kind == "activity.seen"] == ["new"]


def test_a_group_that_is_gone_is_a_loss(aws, look):
    aws.groups = []
    with pytest.raises(CollectorLost, match="workers"):
        look()
