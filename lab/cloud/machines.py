"""
EC2 instances as AWS tells of them.

moto's instances run the moment that they are asked for and are terminated the moment that they are refused. These go
through pending, running, stopping, stopped, shutting-down and terminated, as the machines behind them really do.
Imported by the cloud's server only.
"""

from __future__ import annotations

import copy
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError, FilterNotImplementedError
from moto.ec2.models import instances as moto_instances

from lab.cloud.slots import NoFreeAddress, address_of, next_slot, pods_of, slot_of
from lab.context import SUBNETS
from lab.hosts.interfaces import Subnet

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
ENDING = frozenset({"shutting-down", "terminated"})
_last_slot: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Observed:
    """What the actuator sees of the machines: running ones, ones wholly gone, and boots that failed (id: why)."""

    alive: AbstractSet[str]
    gone: AbstractSet[str]
    failed: dict[str, str]


def next_state(state: str, instance: str, observed: Observed) -> str:
    """The state that *instance* is in, given the one that it was in and what is *observed*."""
    if state == "pending" and instance in observed.failed:
        return "shutting-down"
    if state == "pending" and instance in observed.alive:
        return "running"
    ended = instance in observed.gone and instance not in observed.alive
    if state == "shutting-down" and ended:
        return "terminated"
    if state == "stopping" and ended:
        return "stopped"
    return state


class LabInstance(moto_instances.Instance):  # type: ignore[misc]  # moto is not typed for us
    """An instance that is in the state in which its machine is; one outside the lab's subnets behaves as moto's do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.zone: Subnet | None = None
        self.unwell_since: datetime | None = None
        self.impaired_since: datetime | None = None
        self.launch_error = ""
        super().__init__(*args, **kwargs)
        self._state: Any
        if self.zone is not None:
            self._become("pending")

    def prep_nics(self, nic_spec: list[dict[str, Any]], private_ip: str | None = None, **kwargs: Any) -> None:
        """The primary interface has the address of a free slot and goes when the instance goes, as on AWS."""
        if self._subnet_id:
            cidr = self.ec2_backend.get_subnet(self._subnet_id).cidr_block
            self.zone = next((subnet for subnet in SUBNETS.values() if str(subnet.network) == cidr), None)
        if self.zone is not None:
            if private_ip is not None:
                text = f"The lab chooses the addresses of its instances; {private_ip} cannot be asked for."
                raise EC2ClientError("InvalidParameterValue", text)
            private_ip = str(self._free_address(self.zone))
        super().prep_nics(nic_spec, private_ip=private_ip, **kwargs)
        if self.zone is not None:
            self.nics[0].delete_on_termination = True

    def _free_address(self, zone: Subnet) -> IPv4Address:
        others = (other for other in self.ec2_backend.all_instances() if getattr(other, "zone", None) == zone)
        taken = {slot_of(zone, IPv4Address(other.private_ip)) for other in others if other.state != "terminated"}
        try:
            slot = next_slot(zone, taken, _last_slot.get(zone.name, -1))
        except NoFreeAddress as error:
            raise EC2ClientError("InsufficientFreeAddressesInSubnet", str(error)) from error
        _last_slot[zone.name] = slot
        return address_of(zone, slot)

    @property
    def pods(self) -> IPv4Network:
        """The network of its pods."""
        if self.zone is None:
            raise ValueError(f"instance {self.id} is not in one of the lab's subnets")
        return pods_of(self.zone, slot_of(self.zone, IPv4Address(self.nics[0].private_ip_address)))

    @property
    def private_ip(self) -> str | None:
        """Its address, given back once it is terminated."""
        return None if self.zone is not None and self.state == "terminated" else super().private_ip

    @property
    def private_ip_address(self) -> str | None:
        """The same, by the name that answers use."""
        return self.private_ip

    @property
    def private_dns_name(self) -> str:
        """Its name, empty once it is terminated."""
        return "" if self.private_ip_address is None else str(super().private_dns_name)

    @property
    def network_interfaces(self) -> list[Any]:
        """Its interfaces, none once it is terminated."""
        return [] if self.private_ip_address is None else list(super().network_interfaces)

    @property
    def instance_status(self) -> dict[str, Any]:
        """The reachability check of the instance: failed when its machine died."""
        if self.impaired_since is None or self.state != "running":
            return dict(super().instance_status)
        failed = {"Name": "reachability", "Status": "failed", "ImpairedSince": self.impaired_since}
        return {"Details": [failed], "Status": "impaired"}

    def applies(self, filters: list[dict[str, Any]]) -> bool:
        """Whether `DescribeInstanceStatus` shows it; moto lets all pass a filter that it does not know."""
        values = {
            "instance-state-name": self.state,
            "instance-state-code": str(self.state_code),
            "instance-status.status": self.instance_status["Status"],
            "instance-status.reachability": self.instance_status.get("Details", [{"Status": ""}])[0]["Status"],
            "system-status.status": self.system_status["Status"],
            "availability-zone": self.availability_zone,
        }
        for each in filters or []:
            if each["name"] not in values:
                raise FilterNotImplementedError(each["name"], "DescribeInstanceStatus")
        return all(values[each["name"]] in each["values"] for each in filters or [])

    def _become(self, state: str) -> Any:
        previous = copy.copy(self._state)
        self._state = moto_instances.InstanceState(state, CODES[state])
        well = state in {"pending", "running"}
        self.unwell_since = None if well else self.unwell_since or utcnow()
        if state == "pending":
            self.impaired_since = None
        return previous

    def start(self) -> Any:
        """A stopped instance is pending until its machine runs again."""
        if self.zone is None:
            return super().start()
        if self.state in {"pending", "running"}:
            return copy.copy(self._state)
        if self.state != "stopped":
            raise self._wrong_state("started")
        super().start()
        previous = moto_instances.InstanceState("stopped", CODES["stopped"])
        self._become("pending")
        return previous

    def stop(self) -> Any:
        """A running instance is stopping until its machine is gone."""
        if self.zone is None:
            return super().stop()
        if self.state in ENDING:
            raise self._wrong_state("stopped")
        previous = copy.copy(self._state)
        if self.state in {"pending", "running"}:
            super().stop()  # sets the reason and stops the interfaces; what is still to come is the machine
            self._become("stopping")
        return previous

    def terminate(self) -> Any:
        """Any instance is shutting-down until its machine is gone."""
        if self.zone is None:
            return super().terminate()
        if self.state in ENDING:
            return copy.copy(self._state)
        self._reason = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)"
        text = "Client.UserInitiatedShutdown: User initiated shutdown"
        self.state_reason = moto_instances.StateReason(text, "Client.UserInitiatedShutdown")
        return self._become("shutting-down")

    def _wrong_state(self, verb: str) -> EC2ClientError:
        text = f"The instance '{self.id}' is not in a state from which it can be {verb}."
        return EC2ClientError("IncorrectInstanceState", text)

    def observe(self, observed: Observed) -> bool:
        """Whether what is *observed* changed anything about this instance; its state follows."""
        state = next_state(self.state, self.id, observed)
        changed = state != self.state
        if state == "shutting-down" and changed:
            self.launch_error = observed.failed[self.id]
        if state == "terminated" and changed:
            self._give_back()
        if changed:
            self._become(state)
        return self._observe_health(observed) or changed

    def _observe_health(self, observed: Observed) -> bool:
        if self.state != "running":
            return False
        before = self.impaired_since
        self.impaired_since = None if self.id in observed.alive else before or utcnow()
        self.unwell_since = self.impaired_since
        return (before is None) != (self.impaired_since is None)

    def _give_back(self) -> None:
        address = self.nics[0].private_ip_address
        super().terminate()
        self.ec2_backend.get_subnet(self.subnet_id).del_subnet_ip(address)
        self._private_ips.clear()
        if self.launch_error:
            self.state_reason = moto_instances.StateReason(self.launch_error, "Server.InternalError")


def install() -> None:
    """From now on moto makes instances of this kind."""
    # moto finds an answer's `InstanceId` as the `id` of an object whose class is called Instance.
    LabInstance.__name__ = moto_instances.Instance.__name__
    moto_instances.Instance = LabInstance
