"""A plan as plain JSON data and back, exactly: what `plan.json` holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.model.plan import Expectation, Experiment, Load, Objective, Plan, Settle, Stage


def dump_plan(plan: Plan) -> dict[str, Any]:
    """*plan* as data for JSON."""
    return asdict(plan)


def parse_plan(document: Mapping[str, Any]) -> Plan:
    """The plan that `dump_plan` made *document* of, after any number of turns through JSON."""
    load = document["load"]
    return Plan(
        name=document["name"],
        title=document["title"],
        seed=document["seed"],
        load=Load(load["profile"], tuple(Stage(**stage) for stage in load["stages"])),
        experiments=tuple(Experiment(**item) for item in document["experiments"]),
        objectives=tuple(Objective(**{**item, "phases": tuple(item["phases"])}) for item in document["objectives"]),
        expectations=tuple(Expectation(**item) for item in document["expectations"]),
        file=document.get("file", ""),
        settle=Settle(**document.get("settle", {})),
    )
