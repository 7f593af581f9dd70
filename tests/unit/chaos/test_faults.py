"""The table of faults names every file, and every name in it is a function."""

from __future__ import annotations

from pathlib import Path

import pytest

import harness.chaos.actions
from harness.chaos.actions import FAULTS, HARMLESS, Fault
from harness.chaos.undo import known_undos

FOLDER = Path(harness.chaos.actions.__file__).parent


def test_every_file_of_actions_is_named_by_the_table() -> None:
    named = {fault.module for fault in FAULTS} | {module for module, _ in HARMLESS}

    assert named == {f"harness.chaos.actions.{path.stem}" for path in FOLDER.glob("[a-z]*.py")}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.action)
def test_what_the_table_names_exists(fault: Fault) -> None:
    names = [fault.action, fault.preview, *filter(None, (fault.undo, fault.state))]

    assert all(callable(fault.function(name)) for name in names)
    assert bool(fault.undo) == bool(fault.state)


def test_undo_names_are_unique_for_they_stand_in_old_journals() -> None:
    assert len(known_undos()) == sum(bool(fault.undo) for fault in FAULTS)


def test_harmless_actions_exist() -> None:
    assert all(callable(Fault(module, name, "").function(name)) for module, name in HARMLESS)


def test_no_file_of_chaos_imports_chaoslib() -> None:
    sources = list(FOLDER.parent.rglob("*.py"))

    assert sources
    assert [p.name for p in sources if "import chaoslib" in p.read_text() or "from chaoslib" in p.read_text()] == []
