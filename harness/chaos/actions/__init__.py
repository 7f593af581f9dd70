"""
The faults that the harness knows, one a file; this table is all that names them.

A fault's file is imported only when it is needed, and never imports chaoslib: what an action raises, Chaos Toolkit
itself turns into a failed activity.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.target.target import Target

Restore = Callable[[Target, Mapping[str, Any], Mapping[str, Any]], None]
ReadState = Callable[[Target, Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One way to harm: functions of *module*, by name.

    *action* is what a Chaos Toolkit document calls; *preview* `(target, arguments) -> Harm` resolves its targets and
    touches nothing. A fault that does not pass by itself has *undo* `(target, arguments, before)`, whose name stands in
    the undo journal, and *state* `(target, arguments)`, which reads back what the journal recorded as `before`.
    """

    module: str
    action: str
    preview: str
    undo: str = ""
    state: str = ""

    def function(self, name: str) -> Callable[..., Any]:
        """One of its functions, imported now."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), name)
        return found


@dataclass(frozen=True, slots=True)
class Harm:
    """What an action would hit, *said* in one sentence: *targets* by name, as *share* (0..1) of all *of* that kind."""

    said: str
    targets: tuple[str, ...]
    of: str
    share: float
    details: Mapping[str, Any]


FAULTS = (
    Fault("harness.chaos.actions.pods", "kill_pods", preview="preview_kill_pods"),
    Fault(
        "harness.chaos.actions.zone",
        "disconnect_zone",
        preview="preview_disconnect_zone",
        undo="restore_network_acls",
        state="network_acls",
    ),
)

# Actions that harm nothing: they wait, or they undo what a fault has done.
HARMLESS = (
    ("harness.chaos.actions.hold", "hold"),
    ("harness.chaos.actions.zone", "reconnect_zone"),
)
