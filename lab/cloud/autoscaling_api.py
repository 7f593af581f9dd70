"""What moto's Auto Scaling API answers otherwise than AWS does, put right. Imported by the cloud's server only."""

from __future__ import annotations

from typing import Any

from moto.autoscaling import models as moto_autoscaling
from moto.autoscaling import responses
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.core.responses import ActionResult, EmptyResult

from lab.cloud.activities import ACTIVITIES
from lab.cloud.groups import LabGroup


def _group(backend: Any, name: str) -> Any:
    if name not in backend.autoscaling_groups:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return backend.autoscaling_groups[name]


def describe_scaling_activities(self: Any) -> ActionResult:
    """The activities, newest first, in pages; moto knows none."""
    name = self._get_param("AutoScalingGroupName")
    found = ACTIVITIES.describe(name, self._get_param("ActivityIds", []))
    if name is not None and not found:
        _group(self.autoscaling_backend, name)
    token = self._get_param("NextToken")
    ids = [activity.id for activity in found]
    if token is not None and token not in ids:
        raise ValidationError("Invalid NextToken")
    start = 0 if token is None else ids.index(token)
    end = start + min(self._get_int_param("MaxRecords") or 100, 100)
    following = ids[end] if end < len(ids) else None
    return ActionResult({"Activities": [each.shown() for each in found[start:end]], "NextToken": following})


def set_desired_capacity(self: Any) -> EmptyResult:
    """A capacity outside the group's bounds is refused; moto takes any."""
    group = _group(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    wanted = self._get_int_param("DesiredCapacity")
    if wanted > group.max_size:
        raise ValidationError(
            f"New SetDesiredCapacity value {wanted} is above max value {group.max_size} for the AutoScalingGroup."
        )
    if wanted < group.min_size:
        raise ValidationError(
            f"New SetDesiredCapacity value {wanted} is below min value {group.min_size} for the AutoScalingGroup."
        )
    self.autoscaling_backend.set_desired_capacity(group.name, wanted)
    return EmptyResult()


def _state(backend: Any, instance_id: str) -> tuple[Any, Any]:
    for group in backend.autoscaling_groups.values():
        for state in group.instance_states:
            if state.instance.id == instance_id:
                return group, state
    raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")


def terminate_instance(self: Any, instance_id: str, should_decrement: bool) -> dict[str, Any]:  # noqa: FBT001  # moto's signature
    """The instance is Terminating and the activity goes on; moto drops it from the group at once."""
    group, state = _state(self, instance_id)
    shown: dict[str, Any] = group.give_up(state, decrement=should_decrement).shown()
    return shown


def set_instance_health(self: Any, instance_id: str, health_status: str) -> None:
    """An instance called Unhealthy is replaced; moto only remembers the word."""
    group, state = _state(self, instance_id)
    state.health_status = health_status
    group.reconcile()


def notify_terminate_instances(self: Any, instance_ids: list[str]) -> None:
    """The group learns of it from its health check, as on AWS; moto replaces at once."""


def resume_processes(self: Any, group_name: str, scaling_processes: list[str]) -> None:
    """What was held back by the suspension happens now."""
    _moto_resume(self, group_name, scaling_processes)
    self.autoscaling_groups[group_name].reconcile()


_moto_resume = moto_autoscaling.AutoScalingBackend.resume_processes


def delete_auto_scaling_group(self: Any) -> EmptyResult:
    """A group with instances is refused unless forced; its instances then end in their own time. moto just drops it."""
    name = self._get_param("AutoScalingGroupName")
    group = _group(self.autoscaling_backend, name)
    if group.instance_states and not self._get_bool_param("ForceDelete", False):
        text = "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group."
        raise AutoscalingClientError("ResourceInUse", text)
    self.autoscaling_backend.delete_auto_scaling_group(name)
    _leaving.append(group)
    return EmptyResult()


def reconcile_all(backend: Any) -> None:
    """Every group takes note of what happened, deleted ones until their last instance is gone."""
    for group in (*backend.autoscaling_groups.values(), *_leaving):
        group.reconcile()
    _leaving[:] = [group for group in _leaving if group.instance_states]


_leaving: list[Any] = []


def install() -> None:
    """From now on moto's Auto Scaling is this."""
    LabGroup.__name__ = moto_autoscaling.FakeAutoScalingGroup.__name__  # moto's answers go by the class's name
    moto_autoscaling.FakeAutoScalingGroup = LabGroup
    backend = moto_autoscaling.AutoScalingBackend
    backend.terminate_instance = terminate_instance
    backend.set_instance_health = set_instance_health
    backend.notify_terminate_instances = notify_terminate_instances
    backend.resume_processes = resume_processes
    responses.AutoScalingResponse.describe_scaling_activities = describe_scaling_activities
    responses.AutoScalingResponse.delete_auto_scaling_group = delete_auto_scaling_group
    responses.AutoScalingResponse.set_desired_capacity = set_desired_capacity
