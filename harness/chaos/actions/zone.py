"""
Cutting an availability zone off, through the network ACLs of its subnets, as AWS Fault Injection Service does it.

A subnet's ACL is replaced by one that denies everything in both directions. What stays inside the subnet never meets
an ACL; connections that stand are cut too, for ACLs keep no state.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import botocore.exceptions
import kubernetes.client

from harness.chaos.actions import Harm
from harness.chaos.session import Session
from harness.chaos.settle import settle
from harness.model.errors import TargetError
from harness.target.clients import boto3_client, kubernetes_client
from harness.target.target import Target

# The tag by which an undo finds its own ACL, also one that was made after the undo was armed and never written down.
TOKEN_TAG = "gameday-undo"  # noqa: S105 - a tag's name, no secret
RUN_TAG = "gameday-run"
ZONE_LABEL = "topology.kubernetes.io/zone"
SEEN_WITHIN = 10.0
EVERYTHING = "0.0.0.0/0"


def disconnect_zone(zone: str) -> dict[str, Any]:
    """
    Cut the subnets of *zone* that bear the target's tags off from everything outside them, until `reconnect_zone`.

    Raises TargetError when the zone has no such subnet, when one is already cut, or when the cut was not seen.
    """
    session = Session.current()
    client = boto3_client(session.target, "ec2")
    subnets = tagged_subnets(client, session.target, zone)
    inside = _inside(session.target, zone)
    arguments = {
        "zone": zone,
        "run": session.run.path.name,
        "token": uuid.uuid4().hex,
        "targets": sorted(subnets),
        "nodes": inside["nodes"],
    }
    before = network_acls(session.target, arguments)
    _refuse_cut(client, before["associations"])
    session.arm("restore_network_acls", arguments, before)
    began = time.time()
    for vpc in sorted(set(subnets.values())):
        acl = _deny_all(client, vpc, arguments, session.experiment)
        for subnet in sorted(s for s, v in subnets.items() if v == vpc):
            _associate(client, subnet, acl)
    seen = settle(lambda: _cut(client, arguments), lambda cut: set(cut) == set(subnets), SEEN_WITHIN)
    if set(seen) != set(subnets):
        raise TargetError(
            f"the cut of {', '.join(sorted(set(subnets) - set(seen)))} in {zone} was not seen within {SEEN_WITHIN:.0f} s",
            hint="may another tool manage these network ACLs? the undo is armed and will be replayed",
        )
    details = {"zone": zone, "network_acls": seen, "were": before["associations"], **inside}
    return session.injected("disconnect_zone", sorted(subnets), details, stamp=began)


def reconnect_zone(zone: str) -> dict[str, Any]:
    """Undo this experiment's `disconnect_zone`; does nothing when that is undone already. Raises TargetError if it fails."""
    session = Session.current()
    due = session.journal.pending(session.experiment)
    nodes = {node for entry in due for node in entry.arguments.get("nodes", ()) if entry.arguments.get("zone") == zone}
    seen = {"node_silence": _silence(session.target, nodes)} if due else {}
    results = session.journal.replay(session.target, "chaos", experiment=session.experiment, seen=seen)
    failed = [result.error for result in results if not result.ok]
    if failed:
        raise TargetError(f"{zone} is not restored: {'; '.join(failed)}", hint=f"`gameday undo {session.run.path}`")
    return {"undone": [result.id for result in results], **seen}


def preview_disconnect_zone(target: Target, arguments: Mapping[str, Any]) -> Harm:
    """The subnets that would be cut off, with the nodes and pods in them; TargetError when there are none."""
    zone = str(arguments["zone"])
    client = boto3_client(target, "ec2")
    subnets = tagged_subnets(client, target, zone)
    acls = _associations(client, list(subnets))
    _refuse_cut(client, {subnet: acl for subnet, (_, acl) in acls.items()})
    inside = _inside(target, zone)
    share = len(inside["nodes"]) / inside["nodes_in_all"] if inside["nodes_in_all"] else 0.0
    said = (
        f"cuts {', '.join(sorted(subnets))} ({zone}) off: {len(inside['nodes'])} of {inside['nodes_in_all']} nodes "
        f"({share:.0%}) with {len(inside['pods'])} pods: {', '.join(inside['pods']) or 'none'}"
    )
    return Harm(said, tuple(sorted(subnets)), "nodes", share, {"zone": zone, **inside})


def restore_network_acls(target: Target, arguments: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """
    Give each subnet the ACL that it had, then delete the temporary one. Safe to repeat.

    Raises TargetError for a subnet that somebody else has given another ACL meanwhile: that is not ours to overwrite.
    """
    client = boto3_client(target, "ec2")
    temporary = _temporary(client, arguments)
    current = _associations(client, list(before["associations"]))
    problems = []
    for subnet, original in before["associations"].items():
        association, acl = current.get(subnet, ("", "none"))
        if acl == original:
            continue
        if acl not in temporary:
            problems.append(f"{subnet} had {original}, and somebody gave it {acl} meanwhile: left alone")
        elif not _exists(client, original):
            problems.append(f"{subnet} had {original}, which is gone: give it another ACL by hand")
        else:
            client.replace_network_acl_association(AssociationId=association, NetworkAclId=original)
    if problems:
        raise TargetError("; ".join(problems))
    for acl in temporary:
        _delete(client, acl)


def network_acls(target: Target, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The ACL of each subnet of *arguments*, and the temporary ACLs that bear its token."""
    client = boto3_client(target, "ec2")
    found = _associations(client, arguments["targets"])
    return {
        "associations": {subnet: acl for subnet, (_, acl) in sorted(found.items())},
        "temporary": _temporary(client, arguments),
    }


def tagged_subnets(client: Any, target: Target, zone: str) -> dict[str, str]:
    """The subnets of *zone* that may be harmed, each with its VPC; TargetError when there are none."""
    tags = target.aws.tags if target.aws is not None else {}
    filters = [{"Name": "availability-zone", "Values": [zone]}]
    filters += [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
    pages = client.get_paginator("describe_subnets").paginate(Filters=filters)
    subnets = {subnet["SubnetId"]: subnet["VpcId"] for page in pages for subnet in page["Subnets"]}
    if not tags or not subnets:
        wanted = ", ".join(f"{key}={value}" for key, value in tags.items()) or "(none given)"
        raise TargetError(
            f"no subnet in zone {zone!r} bears the tags {wanted}: nothing would be hit",
            hint="check the zone's name, and aws.tags in the target file against the subnets' tags",
        )
    return subnets


def _deny_all(client: Any, vpc: str, arguments: Mapping[str, Any], experiment: str) -> str:
    """A new ACL of *vpc* that denies all. AWS adds its own last deny, also for IPv6; ours make it visible."""
    names = {
        TOKEN_TAG: arguments["token"],
        RUN_TAG: arguments["run"],
        "gameday-experiment": experiment,
        "gameday": "run",
    }
    tags = [{"Key": key, "Value": value} for key, value in names.items()]
    made = client.create_network_acl(VpcId=vpc, TagSpecifications=[{"ResourceType": "network-acl", "Tags": tags}])
    acl = str(made["NetworkAcl"]["NetworkAclId"])
    for egress in (False, True):
        client.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=1, Protocol="-1", RuleAction="deny", Egress=egress, CidrBlock=EVERYTHING
        )
    return acl


def _associate(client: Any, subnet: str, acl: str) -> None:
    association, _ = _associations(client, [subnet])[subnet]
    client.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)


def _associations(client: Any, subnets: Sequence[str]) -> dict[str, tuple[str, str]]:
    """
    For each subnet the id of its association, which every replacement changes, and its ACL.

    Asked subnet by subnet: of two values in one filter AWS wants either, moto both.
    """
    return {
        association["SubnetId"]: (association["NetworkAclAssociationId"], association["NetworkAclId"])
        for subnet in subnets
        for acl in _acls(client, [{"Name": "association.subnet-id", "Values": [subnet]}])
        for association in acl["Associations"]
        if association["SubnetId"] == subnet
    }


def _temporary(client: Any, arguments: Mapping[str, Any]) -> list[str]:
    filters = [{"Name": f"tag:{TOKEN_TAG}", "Values": [arguments["token"]]}]
    return sorted(acl["NetworkAclId"] for acl in _acls(client, filters))


def _cut(client: Any, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Those subnets whose ACL is now one of ours that denies all both ways."""
    filters = [{"Name": f"tag:{TOKEN_TAG}", "Values": [arguments["token"]]}]
    return {
        association["SubnetId"]: acl["NetworkAclId"]
        for acl in _acls(client, filters)
        if _denies_all(acl)
        for association in acl["Associations"]
    }


def _denies_all(acl: Mapping[str, Any]) -> bool:
    firsts = {e["Egress"]: e for e in sorted(acl["Entries"], key=lambda e: int(e["RuleNumber"]), reverse=True)}
    return set(firsts) == {True, False} and all(
        e["RuleAction"] == "deny" and str(e["Protocol"]) == "-1" and e.get("CidrBlock") == EVERYTHING
        for e in firsts.values()
    )


def _refuse_cut(client: Any, associations: Mapping[str, str]) -> None:
    """TargetError when one of the ACLs is what an earlier, unfinished run has left."""
    mine = {acl["NetworkAclId"]: acl for acl in _acls(client, [{"Name": "tag-key", "Values": [TOKEN_TAG]}])}
    for subnet, acl in associations.items():
        if acl in mine:
            run = next((t["Value"] for t in mine[acl]["Tags"] if t["Key"] == RUN_TAG), "?")
            raise TargetError(
                f"{subnet} is already cut off by run {run}", hint=f"finish that first: `gameday undo {run}`"
            )


def _acls(client: Any, filters: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    pages = client.get_paginator("describe_network_acls").paginate(Filters=filters)
    return [acl for page in pages for acl in page["NetworkAcls"]]


def _exists(client: Any, acl: str) -> bool:
    """Asked before an association is replaced: its old one must not be given up for an ACL that is gone."""
    return acl in {found["NetworkAclId"] for found in _acls(client, [])}


def _delete(client: Any, acl: str) -> None:
    try:
        client.delete_network_acl(NetworkAclId=acl)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "InvalidNetworkAclID.NotFound":
            raise


def _inside(target: Target, zone: str) -> dict[str, Any]:
    """The zone's nodes and the target's pods on them, as Kubernetes has them now."""
    core = kubernetes.client.CoreV1Api(kubernetes_client(target))
    nodes = core.list_node(_request_timeout=10).items
    names = {n.metadata.name for n in nodes if (n.metadata.labels or {}).get(ZONE_LABEL) == zone}
    pods = [
        f"{namespace}/{pod.metadata.name}"
        for namespace in target.kubernetes.namespaces
        for pod in core.list_namespaced_pod(namespace, _request_timeout=10).items
        if pod.spec.node_name in names
    ]
    return {"nodes": sorted(names), "nodes_in_all": len(nodes), "pods": sorted(pods)}


def _silence(target: Target, nodes: Collection[str]) -> dict[str, Any]:
    """
    For how many seconds each of *nodes* has not been heard of: evidence that the cut reached the wire.

    A kubelet renews its lease every 10 s. It is evidence only: failing to read it must not hold up the undo.
    """
    try:
        leases = kubernetes.client.CoordinationV1Api(kubernetes_client(target))
        found = leases.list_namespaced_lease("kube-node-lease", _request_timeout=2).items
    except Exception as error:  # noqa: BLE001 - see above; what was wrong is recorded
        return {"unknown": f"{type(error).__name__}: {error}"}
    now = datetime.now(UTC)
    return {
        lease.metadata.name: round((now - lease.spec.renew_time).total_seconds(), 1)
        for lease in found
        if lease.metadata.name in nodes and lease.spec.renew_time is not None
    }
