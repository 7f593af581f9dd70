"""The lab's AWS and its actuators on loopback, and its network ACLs on real nft in namespaces of their own."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud.door import Door
from lab.cloud.instances import InstanceActuator
from lab.cloud.seed import client, group_tags, seed
from lab.context import Settings
from lab.hosts.interfaces import Instance

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
GROUP = "workers-us-east-1a"
HEALTH_CHECK_AFTER = 0.5


def eventually(seen: Callable[[], Any], what: str, within: float = 10.0) -> Any:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if value := seen():
            return value
        time.sleep(0.02)
    pytest.fail(f"not seen within {within} s: {what}")


@dataclass
class RecordedNodes:
    """Machines in memory: what was asked of them, and which run."""

    running: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    instances: dict[str, Instance] = field(default_factory=dict)
    refuse: set[str] = field(default_factory=set)
    held: dict[str, threading.Event] = field(default_factory=dict)

    def boot(self, instance: Instance) -> None:
        self.asked.append(("boot", instance.id))
        if instance.group in self.held and not self.held[instance.group].wait(10):
            raise TimeoutError("the test never let the machine boot")
        self.instances[instance.id] = instance
        if instance.group in self.refuse:
            raise RuntimeError("no memory left on the machine")
        self.running.add(instance.id)

    def destroy(self, instance_id: str) -> None:
        self.asked.append(("destroy", instance_id))
        self.running.discard(instance_id)

    def alive(self) -> frozenset[str]:
        return frozenset(self.running)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Aws:
    """The AWS server, its clients, and the instance actuator over machines in memory."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.ec2 = client("ec2", endpoint)
        self.autoscaling = client("autoscaling", endpoint)
        self.nodes = RecordedNodes()
        self.name = GROUP

    def groups(self) -> list[dict[str, Any]]:
        return list(self.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"])

    def group(self) -> dict[str, Any]:
        return next(group for group in self.groups() if group["AutoScalingGroupName"] == self.name)

    def lifecycles(self) -> list[str]:
        return sorted(each["LifecycleState"] for each in self.group()["Instances"])

    def desire(self, capacity: int) -> None:
        self.autoscaling.set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=capacity)

    def settled(self, count: int = 1) -> list[str]:
        self.nodes.held[self.name].set()
        eventually(lambda: self.lifecycles() == ["InService"] * count, f"{count} instances InService")
        return [each["InstanceId"] for each in self.group()["Instances"]]

    def instance(self, name: str) -> dict[str, Any]:
        return dict(self.ec2.describe_instances(InstanceIds=[name])["Reservations"][0]["Instances"][0])

    def state(self, name: str) -> str:
        return str(self.instance(name)["State"]["Name"])

    def activities(self) -> list[dict[str, Any]]:
        return list(self.autoscaling.describe_scaling_activities(AutoScalingGroupName=self.name)["Activities"])

    def activity_of(self, instance: str, verb: str) -> dict[str, Any]:
        return next(
            a for a in self.activities() if a["Description"].endswith(instance) and a["Description"].startswith(verb)
        )


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that holds the seeds."""
    port = free_port()
    argv = [sys.executable, "-m", "lab.cloud.server", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--health-check-after", str(HEALTH_CHECK_AFTER)]
    log = tmp_path_factory.mktemp("cloud") / "cloud.log"
    with log.open("w") as said:
        process = subprocess.Popen(argv, stdout=said, stderr=said, cwd=ROOT)
        door = Door(f"http://127.0.0.1:{port}")
        try:
            eventually(door.healthy, "the server answers", 60)
            seed(f"http://127.0.0.1:{port}", Settings())
            yield f"http://127.0.0.1:{port}"
        finally:
            door.close()
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def cloud(endpoint: str) -> Iterator[Aws]:
    """The same, with the instance actuator over machines in memory."""
    aws = Aws(endpoint)
    stop, ready, door = threading.Event(), threading.Event(), Door(endpoint)
    actuator = InstanceActuator(door, aws.nodes, boot_delay=0.2)
    thread = threading.Thread(target=actuator.run, args=(stop, ready))
    thread.start()
    try:
        assert ready.wait(10)
        yield aws
    finally:
        stop.set()
        thread.join(5)
        door.close()


@pytest.fixture
def aws(cloud: Aws) -> Iterator[Aws]:
    """The same, with a group of the test's own in us-east-1a, from 1 to 3, whose machines boot when *held* lets go."""
    cloud.name = f"{GROUP}-{secrets.token_hex(4)}"
    (template,) = cloud.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
    gate = cloud.nodes.held[cloud.name] = threading.Event()
    cloud.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=cloud.name,
        MinSize=1,
        MaxSize=3,
        VPCZoneIdentifier=template["VPCZoneIdentifier"],
        LaunchTemplate={"LaunchTemplateName": "workers", "Version": "1"},
        Tags=group_tags("us-east-1a", cloud.name),
    )
    yield cloud
    gate.set()
    if any(group["AutoScalingGroupName"] == cloud.name for group in cloud.groups()):
        cloud.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=cloud.name, ForceDelete=True)


def test_an_instance_is_pending_until_its_machine_runs(aws: Aws) -> None:
    name = aws.group()["Instances"][0]["InstanceId"]
    assert (aws.lifecycles(), aws.state(name)) == (["Pending"], "pending")
    assert [a["StatusCode"] for a in aws.activities()] == ["InProgress"]
    assert "EndTime" not in aws.activities()[0]
    assert aws.ec2.describe_instance_status(InstanceIds=[name])["InstanceStatuses"] == []
    aws.desire(2)
    assert aws.lifecycles() == ["Pending", "Pending"], "what is still pending counts as capacity"
    assert name in aws.settled(2)
    assert [a["StatusCode"] for a in aws.activities()] == ["Successful", "Successful"]


def test_launches_are_told_with_times_and_cause_and_addresses_are_the_labs(aws: Aws) -> None:
    (first,) = aws.settled()
    aws.desire(2)
    assert aws.lifecycles() == ["InService", "Pending"]
    second = next(name for name in aws.settled(2) if name != first)
    activity = aws.activity_of(second, "Launching")
    assert activity["StatusCode"] == "Successful"
    assert activity["Description"] == f"Launching a new EC2 instance: {second}"
    assert "changing the desired capacity from 1 to 2" in activity["Cause"]
    assert "increasing the capacity from 1 to 2" in activity["Cause"]
    assert activity["EndTime"] >= activity["StartTime"]
    machine = aws.nodes.instances[second]
    assert aws.instance(second)["PrivateIpAddress"] == str(machine.address)
    slot = int(machine.address) - int(IPv4Address("198.18.16.100"))
    assert machine.pods == IPv4Network((int(IPv4Address("198.18.17.0")) + 64 * slot, 26))
    assert (machine.zone, machine.group) == ("us-east-1a", aws.name)
    assert machine.labels["topology.kubernetes.io/zone"] == "us-east-1a"
    status = aws.ec2.describe_instance_status(InstanceIds=[second])["InstanceStatuses"][0]
    assert status["InstanceStatus"]["Status"] == "ok"


def test_the_autoscalers_way_down_ends_the_instance_and_nothing_takes_its_place(aws: Aws) -> None:
    aws.desire(2)
    victim = aws.settled(2)[0]
    said = aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=victim, ShouldDecrementDesiredCapacity=True
    )["Activity"]
    assert said["StatusCode"] == "InProgress"
    assert "shrinking the capacity from 2 to 1" in said["Cause"]
    eventually(lambda: aws.state(victim) == "terminated", "the instance is terminated")
    assert ("destroy", victim) in aws.nodes.asked
    assert victim not in aws.nodes.running
    assert len(aws.settled(1)) == 1
    assert aws.group()["DesiredCapacity"] == 1
    assert aws.activity_of(victim, "Terminating")["StatusCode"] == "Successful"
    assert "PrivateIpAddress" not in aws.instance(victim)


def test_a_group_is_not_shrunk_below_its_least_nor_grown_beyond_its_most(aws: Aws) -> None:
    (only,) = aws.settled()
    with pytest.raises(ClientError, match="desiredSize equals minSize"):
        aws.autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=only, ShouldDecrementDesiredCapacity=True)
    with pytest.raises(ClientError, match="above max value 3"):
        aws.desire(4)
    assert aws.settled() == [only]


def test_a_machine_that_died_is_seen_impaired_then_replaced(aws: Aws) -> None:
    (victim,) = aws.settled()
    aws.nodes.running.discard(victim)
    address = aws.instance(victim)["PrivateIpAddress"]
    eventually(
        lambda: (
            [
                each["InstanceStatus"]["Status"]
                for each in aws.ec2.describe_instance_status(InstanceIds=[victim])["InstanceStatuses"]
            ]
            == ["impaired"]
        ),
        "the status check fails",
    )
    impaired = [{"Name": "instance-status.status", "Values": ["impaired"]}]
    found = aws.ec2.describe_instance_status(Filters=impaired)["InstanceStatuses"]
    assert [each["InstanceId"] for each in found] == [victim]
    eventually(lambda: aws.state(victim) == "terminated", "the dead instance is terminated")
    (successor,) = aws.settled()
    assert successor != victim
    assert "EC2 health check" in aws.activity_of(victim, "Terminating")["Cause"]
    assert "unhealthy" in aws.activity_of(successor, "Launching")["Cause"]
    assert aws.instance(successor)["PrivateIpAddress"] != address, "an address rests before it is used again"


def test_an_instance_terminated_through_ec2_is_destroyed_at_once_and_replaced(aws: Aws) -> None:
    (victim,) = aws.settled()
    began = time.monotonic()
    aws.ec2.terminate_instances(InstanceIds=[victim])
    eventually(lambda: ("destroy", victim) in aws.nodes.asked, "its machine is destroyed")
    assert time.monotonic() - began < 0.5
    eventually(lambda: victim not in [i["InstanceId"] for i in aws.group()["Instances"]], "it left the group")
    assert aws.settled() != [victim]


def test_a_stopped_instance_is_unhealthy_and_one_outside_a_group_starts_again(aws: Aws) -> None:
    (loose,) = aws.settled()
    aws.autoscaling.detach_instances(
        InstanceIds=[loose], AutoScalingGroupName=aws.name, ShouldDecrementDesiredCapacity=False
    )
    aws.ec2.stop_instances(InstanceIds=[loose])
    eventually(lambda: aws.state(loose) == "stopped", "it stopped")
    assert loose not in aws.nodes.running
    aws.ec2.start_instances(InstanceIds=[loose])
    eventually(lambda: aws.state(loose) == "running", "it runs again")
    assert loose in aws.nodes.running
    (member,) = aws.settled()
    aws.ec2.stop_instances(InstanceIds=[member])
    eventually(lambda: aws.state(member) == "terminated", "the group ended its stopped instance")


def test_a_boot_that_fails_is_a_failed_activity_and_is_tried_again_later(aws: Aws) -> None:
    aws.settled()
    aws.nodes.refuse.add(aws.name)
    aws.desire(2)
    failed = eventually(lambda: [a for a in aws.activities() if a["StatusCode"] == "Failed"], "a failed activity")[0]
    assert "no memory left" in failed["StatusMessage"]
    name = failed["Description"].split()[-1]
    eventually(lambda: aws.state(name) == "terminated", "the failed instance is terminated")
    assert ("destroy", name) in aws.nodes.asked, "what the boot left behind is cleaned up"
    aws.nodes.refuse.clear()
    assert len(eventually(lambda: aws.settled(2), "the second instance", 15)) == 2


def test_suspended_processes_hold_back_and_resume_lets_go(aws: Aws) -> None:
    aws.settled()
    aws.autoscaling.suspend_processes(AutoScalingGroupName=aws.name, ScalingProcesses=["Launch"])
    aws.desire(2)
    assert aws.lifecycles() == ["InService"]
    aws.autoscaling.resume_processes(AutoScalingGroupName=aws.name, ScalingProcesses=["Launch"])
    assert len(aws.settled(2)) == 2


def test_a_machine_that_the_cloud_does_not_know_is_destroyed(aws: Aws) -> None:
    aws.nodes.running.add("i-0fromanotherlife")
    eventually(lambda: "i-0fromanotherlife" not in aws.nodes.running, "the orphan is gone")
    assert len(aws.settled()) == 1


def test_a_group_with_instances_is_deleted_only_by_force_and_then_ends_them(aws: Aws) -> None:
    (last,) = aws.settled()
    with pytest.raises(ClientError, match="ResourceInUse"):
        aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=aws.name)
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=aws.name, ForceDelete=True)
    eventually(lambda: aws.state(last) == "terminated", "its instance is terminated")
    eventually(lambda: aws.activities()[0]["StatusCode"] == "Successful", "and told so")


def test_seeding_twice_changes_nothing_and_the_tags_find_what_may_be_harmed(cloud: Aws) -> None:
    before = cloud.groups()
    again = seed(cloud.endpoint, Settings())
    assert cloud.groups() == before
    allowed = [{"Name": "tag:gameday", "Values": ["allowed"]}]
    found = cloud.ec2.describe_subnets(Filters=allowed)["Subnets"]
    assert {each["SubnetId"] for each in found} == set(again.subnets.values())
    groups = cloud.autoscaling.describe_auto_scaling_groups(Filters=allowed)["AutoScalingGroups"]
    assert {each["AutoScalingGroupName"] for each in groups} == set(again.groups.values())
    assert {each["VPCZoneIdentifier"] for each in groups} == set(again.subnets.values())
    discovery = [{"Name": "tag-key", "Values": ["k8s.io/cluster-autoscaler/enabled"]}]
    assert len(cloud.autoscaling.describe_auto_scaling_groups(Filters=discovery)["AutoScalingGroups"]) == 3


def test_network_acl_calls_behave_as_on_aws(cloud: Aws) -> None:
    seeded = seed(cloud.endpoint, Settings())
    subnet, ec2 = seeded.subnets["us-east-1a"], cloud.ec2
    by_subnet = [{"Name": "association.subnet-id", "Values": [subnet]}]
    (default,) = ec2.describe_network_acls(Filters=by_subnet)["NetworkAcls"]
    assert default["IsDefault"]
    assert [(e["RuleNumber"], e["RuleAction"], e["Egress"]) for e in default["Entries"]] == [
        (100, "allow", True),
        (32767, "deny", True),
        (100, "allow", False),
        (32767, "deny", False),
    ]
    tags = [{"ResourceType": "network-acl", "Tags": [{"Key": "gameday", "Value": "run-1"}]}]
    made = ec2.create_network_acl(VpcId=seeded.vpc, TagSpecifications=tags)["NetworkAcl"]
    assert [(e["RuleNumber"], e["RuleAction"], e["Protocol"]) for e in made["Entries"]] == [(32767, "deny", "-1")] * 2
    ec2.create_tags(Resources=[made["NetworkAclId"]], Tags=[{"Key": "more", "Value": "yes"}])
    for number in (200, 100):
        ec2.create_network_acl_entry(
            NetworkAclId=made["NetworkAclId"],
            RuleNumber=number,
            Protocol="6",
            RuleAction="deny",
            Egress=False,
            CidrBlock="0.0.0.0/0",
            PortRange={"From": 80, "To": 90},
        )
    pages = ec2.get_paginator("describe_network_acls").paginate(Filters=[{"Name": "tag:gameday", "Values": ["run-*"]}])
    (found,) = [acl for page in pages for acl in page["NetworkAcls"]]
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == {"gameday": "run-1", "more": "yes"}
    assert [e["RuleNumber"] for e in found["Entries"] if not e["Egress"]] == [100, 200, 32767]
    assert found["Entries"][1]["PortRange"] == {"From": 80, "To": 90}
    either = [{"Name": "association.subnet-id", "Values": list(seeded.subnets.values())}]
    assert len(ec2.describe_network_acls(Filters=either)["NetworkAcls"]) == 1, "any of a filter's values will do"
    old = next(a["NetworkAclAssociationId"] for a in default["Associations"] if a["SubnetId"] == subnet)
    new = ec2.replace_network_acl_association(AssociationId=old, NetworkAclId=made["NetworkAclId"])["NewAssociationId"]
    assert new != old
    (now,) = ec2.describe_network_acls(Filters=by_subnet)["NetworkAcls"]
    assert len(ec2.describe_network_acls(Filters=either)["NetworkAcls"]) == 2
    assert now["NetworkAclId"] == made["NetworkAclId"]
    assert now["Associations"] == [
        {"NetworkAclAssociationId": new, "NetworkAclId": made["NetworkAclId"], "SubnetId": subnet}
    ]
    refused: dict[str, Callable[[], object]] = {
        "InvalidAssociationID.NotFound": lambda: ec2.replace_network_acl_association(
            AssociationId=old, NetworkAclId=default["NetworkAclId"]
        ),
        "InvalidNetworkAclID.NotFound": lambda: ec2.replace_network_acl_association(
            AssociationId=new, NetworkAclId="acl-0123456789abcdef0"
        ),
        "DependencyViolation": lambda: ec2.delete_network_acl(NetworkAclId=made["NetworkAclId"]),
        "Client.CannotDelete": lambda: ec2.delete_network_acl(NetworkAclId=default["NetworkAclId"]),
        "InvalidNetworkAclEntry.NotFound": lambda: ec2.delete_network_acl_entry(
            NetworkAclId=made["NetworkAclId"], RuleNumber=7, Egress=True
        ),
        "InvalidParameterValue": lambda: ec2.delete_network_acl_entry(
            NetworkAclId=made["NetworkAclId"], RuleNumber=32767, Egress=True
        ),
    }
    for code, call in refused.items():
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["Error"]["Code"] == code
    (still,) = ec2.describe_network_acls(Filters=by_subnet)["NetworkAcls"]
    assert still["Associations"] == now["Associations"], "a refused call leaves the association alone"
    ec2.replace_network_acl_association(AssociationId=new, NetworkAclId=default["NetworkAclId"])
    ec2.delete_network_acl(NetworkAclId=made["NetworkAclId"])
    with pytest.raises(ClientError, match=r"InvalidNetworkAclID\.NotFound"):
        ec2.describe_network_acls(NetworkAclIds=[made["NetworkAclId"]])
