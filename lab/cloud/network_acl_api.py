"""What moto's network ACL API answers otherwise than AWS does, put right. Imported by the cloud's server only."""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import EC2ClientError, InvalidNetworkAclIdError
from moto.ec2.models import network_acls as moto_acls
from moto.ec2.responses import network_acls as responses
from moto.ec2.utils import is_filter_matching

NUMBERS = {"tcp": "6", "udp": "17", "icmp": "1", "all": "-1"}
LAST_RULE = 32767
_backend = moto_acls.NetworkAclBackend
_moto_create = _backend.create_network_acl
_moto_create_entry = _backend.create_network_acl_entry
_moto_delete = _backend.delete_network_acl
_moto_describe = _backend.describe_network_acls
_moto_replace_association = _backend.replace_network_acl_association
_moto_create_response = responses.NetworkACLs.create_network_acl_entry
_moto_filter_value = moto_acls.NetworkAcl.get_filter_value


def create_network_acl(self: Any, vpc_id: str, tags: Any = None, default: bool = False) -> Any:  # noqa: FBT001, FBT002  # moto's signature
    """A new ACL denies all, visibly, by rule 32767 each way; moto's has no entry at all."""
    acl = _moto_create(self, vpc_id, tags=tags, default=default)
    for egress in () if default else (True, False):
        entry = moto_acls.NetworkAclEntry(
            self, acl.id, LAST_RULE, "-1", "deny", egress, "0.0.0.0/0", None, None, None, None, None
        )
        acl.network_acl_entries.append(entry)
    return acl


def _check_rule_number(number: int) -> None:
    if not 1 <= number < LAST_RULE:
        text = f"Value ({number}) for parameter ruleNumber is invalid. It must be between 1 and 32766."
        raise EC2ClientError("InvalidParameterValue", text)


def create_network_acl_entry(self: Any, **entry: Any) -> Any:
    """Protocols are numbers, and rule 32767 is nobody's to make; moto keeps whatever it is told."""
    entry["protocol"] = NUMBERS.get(str(entry["protocol"]).lower(), str(entry["protocol"]))
    return _moto_create_entry(self, **entry)


def create_users_entry(self: Any) -> Any:
    """As moto, with the rule number checked."""
    _check_rule_number(int(self._get_param("RuleNumber")))
    return _moto_create_response(self)


def delete_network_acl_entry(self: Any, network_acl_id: str, rule_number: int, egress: bool) -> Any:  # noqa: FBT001  # moto's signature
    """An entry that is not there is an error; moto ends in a failure of its own."""
    _check_rule_number(rule_number)
    acl = self.get_network_acl(network_acl_id)
    for entry in acl.network_acl_entries:
        if (entry.rule_number, entry.egress) == (rule_number, egress):
            acl.network_acl_entries.remove(entry)
            return entry
    way = "egress" if egress else "ingress"
    text = f"The {way} network ACL entry '{rule_number}' does not exist in '{network_acl_id}'."
    raise EC2ClientError("InvalidNetworkAclEntry.NotFound", text)


def delete_network_acl(self: Any, network_acl_id: str) -> Any:
    """A default ACL stays; moto deletes it."""
    if self.get_network_acl(network_acl_id).default:
        text = f"The network acl '{network_acl_id}' is the default of its VPC and cannot be deleted."
        raise EC2ClientError("Client.CannotDelete", text)
    return _moto_delete(self, network_acl_id)


def replace_network_acl_association(self: Any, association_id: str, network_acl_id: str) -> Any:
    """Both are looked up before anything changes; moto loses the subnet's association when the ACL is not there."""
    new = self.get_network_acl(network_acl_id)
    old = next((acl for acl in self.network_acls.values() if association_id in acl._associations), None)  # noqa: SLF001  # moto keeps them there
    if old is None:
        text = f"The association ID '{association_id}' does not exist"
        raise EC2ClientError("InvalidAssociationID.NotFound", text)
    if old.vpc_id != new.vpc_id:
        text = f"Network ACL '{network_acl_id}' and the subnet belong to different VPCs."
        raise EC2ClientError("InvalidParameterValue", text)
    return _moto_replace_association(self, association_id, network_acl_id)


def describe_network_acls(self: Any, network_acl_ids: list[str] | None = None, filters: Any = None) -> Any:
    """An ACL that is not there is named as such, and of a filter's values any will do; moto wants all of them."""
    for acl_id in network_acl_ids or []:
        if acl_id not in self.network_acls:
            raise InvalidNetworkAclIdError(acl_id)
    found: list[Any] = _moto_describe(self, network_acl_ids, None)
    for name, values in (filters or {}).items():
        found = [acl for acl in found if any(is_filter_matching(acl, name, [value]) for value in values)]
    return found


def entries(self: Any) -> list[Any]:
    """Its entries by direction and rule number; moto keeps them in the order of their making."""
    return sorted(self.network_acl_entries, key=lambda entry: (not entry.egress, entry.rule_number))


def get_filter_value(self: Any, filter_name: str, method_name: str | None = None) -> Any:
    """Also by `network-acl-id`, which moto does not know."""
    return self.id if filter_name == "network-acl-id" else _moto_filter_value(self, filter_name, method_name)


def install() -> None:
    """From now on moto's network ACLs are these."""
    _backend.create_network_acl = create_network_acl
    _backend.create_network_acl_entry = create_network_acl_entry
    _backend.delete_network_acl_entry = delete_network_acl_entry
    _backend.delete_network_acl = delete_network_acl
    _backend.replace_network_acl_association = replace_network_acl_association
    _backend.describe_network_acls = describe_network_acls
    moto_acls.NetworkAcl.entries = property(entries)
    moto_acls.NetworkAcl.get_filter_value = get_filter_value
    responses.NetworkACLs.create_network_acl_entry = create_users_entry
