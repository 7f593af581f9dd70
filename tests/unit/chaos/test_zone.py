"""The undo of a zone outage, on moto's EC2 in this process: complete, repeatable, and careful with what others did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace as Thing
from typing import Any

import boto3
import pytest
from moto import mock_aws

from harness.chaos.actions import zone
from harness.model.errors import TargetError

TARGET = Thing(aws=Thing(tags={"gameday": "allowed"}))
ZONE = "us-east-1c"


@dataclass
class Cloud:
    ec2: Any
    vpc: str
    subnets: list[str]
    original: str

    def arguments(self) -> dict[str, Any]:
        return {"zone": ZONE, "run": "r1", "token": "t1", "targets": self.subnets, "nodes": []}

    def cut(self, subnets: list[str]) -> str:
        acl = zone._deny_all(self.ec2, self.vpc, self.arguments(), "az-outage")
        for subnet in subnets:
            zone._associate(self.ec2, subnet, acl)
        return acl

    def state(self) -> dict[str, Any]:
        return zone.network_acls(TARGET, self.arguments())


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        ec2 = boto3.client("ec2", "us-east-1")
        monkeypatch.setattr(zone, "boto3_client", lambda *_: ec2)
        vpc = ec2.create_vpc(CidrBlock="198.18.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"198.18.{third}.0/24", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
            for third in (1, 2, 3)
        ]
        ec2.create_tags(Resources=subnets[:2], Tags=[{"Key": "gameday", "Value": "allowed"}])
        acls = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"]
        yield Cloud(ec2, vpc, sorted(subnets[:2]), acls[0]["NetworkAclId"])


def test_only_tagged_subnets_of_the_zone_are_targets(cloud: Cloud) -> None:
    assert sorted(zone.tagged_subnets(cloud.ec2, TARGET, ZONE)) == cloud.subnets


@pytest.mark.parametrize(
    ("name", "tags"), [("us-east-1a", {"gameday": "allowed"}), (ZONE, {"gameday": "no"}), (ZONE, {})]
)
def test_no_subnet_or_no_tags_is_refused(cloud: Cloud, name: str, tags: dict[str, str]) -> None:
    with pytest.raises(TargetError, match="nothing would be hit"):
        zone.tagged_subnets(cloud.ec2, Thing(aws=Thing(tags=tags)), name)


def test_the_undo_restores_what_was_and_can_be_repeated(cloud: Cloud) -> None:
    before = cloud.state()
    cloud.cut(cloud.subnets)
    during = cloud.state()
    for _ in range(2):
        zone.restore_network_acls(TARGET, cloud.arguments(), before)

    assert before["associations"] == dict.fromkeys(cloud.subnets, cloud.original)
    assert set(during["associations"].values()) == set(during["temporary"])
    assert cloud.state() == before


@pytest.mark.parametrize("reached", [0, 1])
def test_an_outage_that_was_killed_half_way_is_undone_by_its_tag(cloud: Cloud, reached: int) -> None:
    before = cloud.state()
    cloud.cut(cloud.subnets[:reached])
    zone.restore_network_acls(TARGET, cloud.arguments(), before)

    assert cloud.state() == before


def test_an_acl_that_somebody_else_gave_meanwhile_is_left_alone(cloud: Cloud) -> None:
    before = cloud.state()
    cloud.cut(cloud.subnets)
    theirs = cloud.ec2.create_network_acl(VpcId=cloud.vpc)["NetworkAcl"]["NetworkAclId"]
    zone._associate(cloud.ec2, cloud.subnets[0], theirs)
    with pytest.raises(TargetError, match="somebody gave it"):
        zone.restore_network_acls(TARGET, cloud.arguments(), before)

    assert cloud.state()["associations"] == {cloud.subnets[0]: theirs, cloud.subnets[1]: cloud.original}


def test_a_subnet_is_not_let_go_for_an_acl_that_is_gone(cloud: Cloud) -> None:
    before = cloud.state()
    before["associations"][cloud.subnets[0]] = "acl-gone"
    ours = cloud.cut(cloud.subnets)
    with pytest.raises(TargetError, match="which is gone"):
        zone.restore_network_acls(TARGET, cloud.arguments(), before)

    assert cloud.state()["associations"][cloud.subnets[0]] == ours


def test_a_zone_that_is_cut_already_is_not_cut_again(cloud: Cloud) -> None:
    cloud.cut(cloud.subnets)

    with pytest.raises(TargetError, match="already cut off by run r1"):
        zone._refuse_cut(cloud.ec2, cloud.state()["associations"])


def test_only_an_acl_that_denies_all_both_ways_first_is_seen_as_a_cut(cloud: Cloud) -> None:
    acl = cloud.cut(cloud.subnets)
    assert zone._cut(cloud.ec2, cloud.arguments()) == dict.fromkeys(cloud.subnets, acl)
    cloud.ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=1, Egress=True)
    assert zone._cut(cloud.ec2, cloud.arguments()) == {}
    entry = {"Protocol": "-1", "Egress": True, "CidrBlock": "0.0.0.0/0"}
    cloud.ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=1, RuleAction="allow", **entry)
    cloud.ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=2, RuleAction="deny", **entry)

    assert zone._cut(cloud.ec2, cloud.arguments()) == {}
