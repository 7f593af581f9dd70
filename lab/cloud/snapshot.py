"""What the actuators are shown of the cloud: machines that should run, subnets and their network ACLs. Server side."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID

from lab.cloud.machines import LabInstance
from lab.context import REGION

LAB_NETWORK = IPv4Network("198.18.0.0/16")
LABEL_TAG = "k8s.io/cluster-autoscaler/node-template/label/"


def backend(service: str) -> Any:
    """Moto's state of *service* in the lab's account and region."""
    from moto.backends import get_backend  # noqa: PLC0415  # imports every part of the service: only when asked for

    return get_backend(service)[DEFAULT_ACCOUNT_ID][REGION]


def lab_instances() -> list[Any]:
    """The instances that machines stand behind."""
    return [each for each in backend("ec2").all_instances() if isinstance(each, LabInstance) and each.zone is not None]


def _instance(instance: Any) -> dict[str, Any]:
    group = getattr(instance, "autoscaling_group", None)
    tags = group.tags if group is not None else []
    labels = {tag["Key"][len(LABEL_TAG) :]: tag["Value"] for tag in tags if tag["Key"].startswith(LABEL_TAG)}
    return {
        "id": instance.id,
        "state": instance.state,
        "zone": instance.zone.zone,
        "group": group.name if group is not None else "",
        "address": instance.private_ip,
        "pods": str(instance.pods),
        "labels": labels,
    }


def _entry(entry: Any) -> dict[str, Any]:
    shown = {
        "RuleNumber": entry.rule_number,
        "Protocol": str(entry.protocol),
        "RuleAction": entry.rule_action,
        "Egress": bool(entry.egress),
    }
    optional = {
        "CidrBlock": entry.cidr_block,
        "Ipv6CidrBlock": entry.ipv6_cidr_block,
        "PortRange": entry.port_range,
        "IcmpTypeCode": entry.icmp_type_code,
    }
    return shown | {key: value for key, value in optional.items() if value is not None}


def _acl(acl: Any) -> dict[str, Any]:
    return {
        "NetworkAclId": acl.id,
        "Associations": [{"SubnetId": each.subnet_id} for each in acl.associations],
        "Entries": [_entry(entry) for entry in acl.entries],
    }


def snapshot() -> dict[str, Any]:
    """All of it, in JSON's types; ACLs and subnets as `describe_*` shows them, terminated instances left out."""
    ec2 = backend("ec2")
    subnets = [s for s in ec2.describe_subnets() if IPv4Network(s.cidr_block).subnet_of(LAB_NETWORK)]
    ids = {subnet.id for subnet in subnets}
    acls = [_acl(acl) for acl in ec2.network_acls.values() if any(a.subnet_id in ids for a in acl.associations)]
    return {
        "instances": [_instance(each) for each in lab_instances() if each.state != "terminated"],
        "subnets": [{"SubnetId": subnet.id, "CidrBlock": subnet.cidr_block} for subnet in subnets],
        "acls": acls,
    }
