"""
Auto Scaling groups as AWS runs them.

moto's groups have their instances InService at once and say nothing of how they came. These launch and terminate by
reconciling: `reconcile` compares what is desired with what is there, and is called after every change of either.
Imported by the cloud's server only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from moto.autoscaling import models as moto_autoscaling
from moto.autoscaling.exceptions import ValidationError
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError

from lab.cloud.activities import ACTIVITIES, Activity, stamp

COUNTED = frozenset({"Pending", "InService"})
LONGEST_BACKOFF = 60.0
HEALTH_CHECK = (
    "At {now} an instance was taken out of service in response to an EC2 health check indicating it has been "
    "terminated, stopped or impaired."
)


class LabGroup(moto_autoscaling.FakeAutoScalingGroup):  # type: ignore[misc]  # moto is not typed for us
    """A group whose instances are Pending until their machine runs and Terminating until it is gone."""

    health_check_after = 5.0  # seconds that an instance is unwell before the group acts; AWS takes one to two minutes

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.desired_capacity: int = 0
        self.instance_states: list[Any] = []
        self._why = ""
        self._launches: dict[str, Activity] = {}
        self._terminations: dict[str, Activity] = {}
        self._failures = 0
        self._not_before: datetime | None = None
        super().__init__(*args, **kwargs)

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        """The group will have *new_capacity* instances (None: its least)."""
        before = self.desired_capacity
        self.desired_capacity = int(self.min_size or 0) if new_capacity is None else new_capacity
        if before != self.desired_capacity:
            request = "explicitly set group desired capacity" if self._why else "created an AutoScalingGroup"
            change = f"changing the desired capacity from {before} to {self.desired_capacity}"
            self._why = f"At {stamp()} a user request {request} {change}."
        self.reconcile()
        if self.name in self.autoscaling_backend.autoscaling_groups:
            self.autoscaling_backend.update_attached_elbs(self.name)
            self.autoscaling_backend.update_attached_target_groups(self.name)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """What is not said stays; a desired capacity that is not said is kept within new bounds."""
        if kwargs.get("desired_capacity") is None:
            least = self.min_size if kwargs.get("min_size") is None else kwargs["min_size"]
            most = self.max_size if kwargs.get("max_size") is None else kwargs["max_size"]
            kwargs["desired_capacity"] = max(int(least), min(int(most), self.desired_capacity))
        super().update(*args, **kwargs)

    def reconcile(self) -> None:
        """Take note of what became of the instances, replace the unhealthy, then launch or terminate as is desired."""
        for state in list(self.instance_states):
            self._settle(state)
        if not self._suspended("ReplaceUnhealthy", "Terminate"):
            for state in self._in("InService"):
                if state.health_status == "Unhealthy":
                    self._why = f"At {stamp()} an instance was found unhealthy and is to be replaced."
                    self.retire(state, HEALTH_CHECK.format(now=stamp()))
        difference = self.desired_capacity - len(self._in(*COUNTED))
        if difference > 0:
            self._launch(difference)
        elif difference < 0:
            self._shrink(-difference)

    def _in(self, *lifecycles: str) -> list[Any]:
        return [state for state in self.instance_states if state.lifecycle_state in lifecycles]

    def _suspended(self, *processes: str) -> bool:
        return bool({process["ProcessName"] for process in self.suspended_processes} & set(processes))

    def _settle(self, state: Any) -> None:
        instance = state.instance
        if state.lifecycle_state == "Pending":
            self._settle_launch(state)
        elif state.lifecycle_state == "InService":
            self._check_health(state)
        if state.lifecycle_state == "Terminating" and instance.state == "terminated":
            self.instance_states.remove(state)
            if (activity := self._terminations.pop(instance.id, None)) is not None:
                activity.finish("Successful")

    def _settle_launch(self, state: Any) -> None:
        instance = state.instance
        if instance.state == "pending":
            return
        activity = self._launches.pop(instance.id, None)
        if instance.state == "running":
            state.lifecycle_state = "InService"
            self._failures, self._not_before = 0, None
            if activity is not None:
                activity.finish("Successful")
            return
        state.lifecycle_state = "Terminating"
        if instance.state == "stopping":
            instance.terminate()
        if activity is not None and not instance.launch_error:
            activity.finish("Cancelled", "The instance was stopped or terminated before it ran.")
        elif activity is not None:
            self._back_off()
            activity.finish("Failed", f"{instance.launch_error} Launching EC2 instance failed.")

    def _check_health(self, state: Any) -> None:
        since: datetime | None = getattr(state.instance, "unwell_since", None)
        if self._suspended("HealthCheck") or since is None:
            return
        if (utcnow() - since).total_seconds() >= self.health_check_after:
            state.health_status = "Unhealthy"

    def retire(self, state: Any, cause: str) -> Activity:
        """The instance of *state* is Terminating, because of *cause*; a second call gives the same activity."""
        instance = state.instance
        if instance.id in self._terminations:
            return self._terminations[instance.id]
        if (launch := self._launches.pop(instance.id, None)) is not None:
            launch.finish("Cancelled", "The group no longer needs the instance.")
        state.lifecycle_state = "Terminating"
        activity = ACTIVITIES.terminating(self.name, instance.id, cause)
        self._terminations[instance.id] = activity
        instance.terminate()
        return activity

    def _launch(self, count: int) -> None:
        waiting = self._not_before is not None and utcnow() < self._not_before
        if waiting or self._suspended("Launch"):
            return
        there = len(self._in(*COUNTED))
        known = {state.instance.id for state in self.instance_states}
        try:
            super().replace_autoscaling_group_instances(count, self.get_propagated_tags())
        except EC2ClientError as error:
            self._refused(str(error))
            return
        cause = (
            f"{self._why}  At {stamp()} an instance was started in response to a difference between desired and "
            f"actual capacity, increasing the capacity from {there} to {there + count}."
        )
        for state in self.instance_states:
            if state.instance.id not in known and state.instance.state == "pending":
                state.lifecycle_state = "Pending"
                self._launches[state.instance.id] = ACTIVITIES.launching(self.name, state.instance.id, cause)

    def _refused(self, why: str) -> None:
        self._back_off()
        ACTIVITIES.launching(self.name, "", self._why).finish("Failed", f"{why} Launching EC2 instance failed.")

    def _back_off(self) -> None:
        self._failures += 1
        wait = min(LONGEST_BACKOFF, 5.0 * 2 ** (self._failures - 1))
        self._not_before = utcnow() + timedelta(seconds=wait)

    def _shrink(self, count: int) -> None:
        if self._suspended("Terminate"):
            return
        there = len(self._in(*COUNTED))
        cause = (
            f"{self._why}  At {stamp()} an instance was taken out of service in response to a difference between "
            f"desired and actual capacity, shrinking the capacity from {there} to {there - count}."
        )
        free = [state for state in self._in(*COUNTED) if not state.protected_from_scale_in]
        for state in sorted(free, key=lambda each: each.lifecycle_state != "Pending")[:count]:
            self.retire(state, cause)

    def give_up(self, state: Any, *, decrement: bool) -> Activity:
        """The instance of *state* ends because a user asked; with *decrement* nothing takes its place."""
        instance, desired = state.instance, self.desired_capacity
        if state.lifecycle_state == "Terminating" and instance.id in self._terminations:
            return self._terminations[instance.id]
        cause = f"At {stamp()} instance {instance.id} was taken out of service in response to a user request"
        if decrement:
            if desired - 1 < int(self.min_size or 0):
                raise ValidationError(
                    f"Currently, desiredSize equals minSize ({self.min_size}). Terminating instance without "
                    "replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity "
                    "flag to false or lower group's min size."
                )
            self.desired_capacity = desired - 1
            cause += f", shrinking the capacity from {desired} to {desired - 1}"
        self._why = f"{cause}."
        activity = self.retire(state, f"{cause}.")
        self.reconcile()
        return activity
