"""What the harness's user may do is what the manifests say, and that is little."""

from __future__ import annotations

from typing import Any

import yaml

from lab.kubernetes.apply import MANIFESTS


def rules_of(role: str) -> list[dict[str, Any]]:
    documents = [d for path in MANIFESTS.glob("*.yaml") for d in yaml.safe_load_all(path.read_text()) if d]
    bound = {
        (b["roleRef"]["kind"], b["roleRef"]["name"], b["metadata"].get("namespace", ""))
        for b in documents
        if b["kind"] in ("RoleBinding", "ClusterRoleBinding") and any(s["name"] == role for s in b["subjects"])
    }
    return [
        {**rule, "namespace": d["metadata"].get("namespace", "")}
        for d in documents
        if (d["kind"], d["metadata"]["name"], d["metadata"].get("namespace", "")) in bound
        for rule in d.get("rules", ())
    ]


def test_the_harness_may_change_one_thing_only_and_in_one_namespace_only() -> None:
    changing = [rule for rule in rules_of("gameday") if set(rule["verbs"]) - {"get", "list", "watch"}]
    assert [(rule["namespace"], rule["resources"], rule["verbs"]) for rule in changing] == [
        ("shop", ["pods"], ["delete"])
    ]


def test_the_harness_reads_no_secrets_and_one_config_map() -> None:
    rules = rules_of("gameday")
    assert not [rule for rule in rules if "secrets" in rule["resources"]]
    maps = [rule for rule in rules if "configmaps" in rule["resources"]]
    assert [(rule["namespace"], rule["resourceNames"]) for rule in maps] == [
        ("kube-system", ["cluster-autoscaler-status"])
    ]


def test_no_role_of_ours_has_a_wildcard() -> None:
    documents = [d for path in MANIFESTS.glob("*.yaml") for d in yaml.safe_load_all(path.read_text()) if d]
    rules = [rule for d in documents for rule in d.get("rules", ())]
    assert rules
    assert not [rule for rule in rules if "*" in rule["verbs"] or "*" in rule.get("resources", ())]
