"""
What the lab's AWS account holds: one VPC, a subnet and an Auto Scaling group a zone. Made through plain boto3.

Everything is looked for by its name before it is made, so seeding twice changes nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from lab.context import REGION, SUBNETS, ZONES, Settings

VPC_CIDR = "198.18.0.0/16"
VPC_NAME = "lab"
TEMPLATE = "workers"
INSTANCE_TYPE = "t3.small"
IMAGE = "ami-12c6146b"
PROFILE = "lab"
CLUSTER = "lab"
ALLOWED = {"Key": "gameday", "Value": "allowed"}
NODE_CPU = "300m"
NODE_MEMORY = "1Gi"


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was found or made: ids by zone."""

    vpc: str
    subnets: dict[str, str]
    groups: dict[str, str]


def group_name(zone: str) -> str:
    """The Auto Scaling group of *zone*."""
    return f"workers-{zone}"


def client(service: str, endpoint: str) -> Any:
    """A boto3 client of the lab's account; the keys are the ones in the lab's credentials file."""
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="lab",
        aws_secret_access_key="lab",  # noqa: S106  # moto takes any
        config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 3}),
    )


def write_credentials(path: Path) -> None:
    """The credentials file at *path* holds the lab's profile; readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.touch(mode=0o600)
    unfinished.chmod(0o600)
    unfinished.write_text(f"[{PROFILE}]\naws_access_key_id = lab\naws_secret_access_key = lab\n")
    os.replace(unfinished, path)  # noqa: PTH105  # atomic, over what is there


def _named(name: str) -> list[dict[str, Any]]:
    return [{"Name": "tag:Name", "Values": [name]}]


def _tags(resource: str, name: str, *more: dict[str, str]) -> list[Any]:
    return [{"ResourceType": resource, "Tags": [{"Key": "Name", "Value": name}, *more]}]


def _vpc(ec2: Any) -> str:
    found = ec2.describe_vpcs(Filters=_named(VPC_NAME))["Vpcs"]
    if found:
        return str(found[0]["VpcId"])
    made = ec2.create_vpc(CidrBlock=VPC_CIDR, TagSpecifications=_tags("vpc", VPC_NAME))
    return str(made["Vpc"]["VpcId"])


def _subnet(ec2: Any, vpc: str, zone: str) -> str:
    found = ec2.describe_subnets(Filters=[*_named(zone), {"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    if found:
        return str(found[0]["SubnetId"])
    made = ec2.create_subnet(
        VpcId=vpc,
        CidrBlock=str(SUBNETS[zone].network),
        AvailabilityZone=zone,
        TagSpecifications=_tags(
            "subnet", zone, ALLOWED, {"Key": f"kubernetes.io/cluster/{CLUSTER}", "Value": "shared"}
        ),
    )
    return str(made["Subnet"]["SubnetId"])


def _template(ec2: Any) -> None:
    found = ec2.describe_launch_templates(Filters=[{"Name": "launch-template-name", "Values": [TEMPLATE]}])
    if not found["LaunchTemplates"]:
        data: Any = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE}
        ec2.create_launch_template(LaunchTemplateName=TEMPLATE, LaunchTemplateData=data)


def group_tags(zone: str, name: str) -> list[dict[str, Any]]:
    """The tags of group *name* in *zone*: what the autoscaler finds it by, what its nodes will be, and that it may be harmed."""
    node = "k8s.io/cluster-autoscaler/node-template"
    own = {"Name": name, ALLOWED["Key"]: ALLOWED["Value"], f"kubernetes.io/cluster/{CLUSTER}": "owned"}
    autoscaler = {
        "k8s.io/cluster-autoscaler/enabled": "true",
        f"k8s.io/cluster-autoscaler/{CLUSTER}": "owned",
        f"{node}/label/topology.kubernetes.io/zone": zone,
        f"{node}/label/topology.kubernetes.io/region": REGION,
        f"{node}/label/node.kubernetes.io/instance-type": INSTANCE_TYPE,
        f"{node}/resources/cpu": NODE_CPU,
        f"{node}/resources/memory": NODE_MEMORY,
    }
    return [
        {
            "ResourceId": name,
            "ResourceType": "auto-scaling-group",
            "Key": key,
            "Value": value,
            "PropagateAtLaunch": passed,
        }
        for tags, passed in ((own, True), (autoscaler, False))
        for key, value in tags.items()
    ]


def _group(autoscaling: Any, zone: str, subnet: str, settings: Settings) -> str:
    name = group_name(zone)
    if not autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]:
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=settings.group_min,
            MaxSize=settings.group_max,
            DesiredCapacity=settings.group_min,
            VPCZoneIdentifier=subnet,
            LaunchTemplate={"LaunchTemplateName": TEMPLATE, "Version": "1"},
            HealthCheckType="EC2",
            HealthCheckGracePeriod=1,
            Tags=group_tags(zone, name),
        )
    return name


def seed(endpoint: str, settings: Settings) -> Seeded:
    """The account behind *endpoint* holds all that the lab needs; botocore's errors pass through."""
    ec2: Any = client("ec2", endpoint)
    autoscaling: Any = client("autoscaling", endpoint)
    vpc = _vpc(ec2)
    subnets = {zone: _subnet(ec2, vpc, zone) for zone in ZONES}
    _template(ec2)
    groups = {zone: _group(autoscaling, zone, subnets[zone], settings) for zone in ZONES}
    return Seeded(vpc, subnets, groups)
