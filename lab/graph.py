"""Starts components in the order that their dependencies allow, as many at once as can be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from queue import SimpleQueue
from threading import Thread

from lab.context import Component
from lab.errors import ComponentFailed, LabError


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a component: *state* is starting, ready or failed; *seconds* since it was started."""

    component: str
    state: str
    seconds: float = 0.0
    error: BaseException | None = None


def select(components: Sequence[Component], only: Iterable[str] = ()) -> tuple[Component, ...]:
    """
    *components*, or of them *only* those named and what they need, in the order of the table.

    Raises LabError when a name is unknown or doubled, or when components wait for one another.
    """
    table = {component.name: component for component in components}
    if len(table) < len(components):
        names = [component.name for component in components]
        raise LabError(f"components named twice: {', '.join(sorted({n for n in names if names.count(n) > 1}))}")
    only = tuple(only)
    for name, wanted_by in [(n, "you") for n in only] + [(n, c.name) for c in components for n in c.after]:
        if name not in table:
            raise LabError(f"{wanted_by} asked for the component {name!r}, which there is not", hint=", ".join(table))
    try:
        order = tuple(TopologicalSorter({c.name: c.after for c in components}).static_order())
    except CycleError as cycle:
        raise LabError(f"components wait for one another: {' -> '.join(cycle.args[1])}") from cycle
    wanted = set(only or table)
    for name in reversed(order):  # whoever needs a component comes after it in the order
        if name in wanted:
            wanted |= set(table[name].after)
    return tuple(component for component in components if component.name in wanted)


def run_all(
    components: Sequence[Component], start: Callable[[Component], None], report: Callable[[Change], None]
) -> None:
    """
    Starts each of *components* in a thread of its own as soon as all that it comes after are ready.

    Returns when all are. At the first failure no more are started, and ComponentFailed is raised at once; those that
    are starting are left to themselves.
    """
    sorter = TopologicalSorter({component.name: component.after for component in components})
    sorter.prepare()
    table = {component.name: component for component in components}
    changes: SimpleQueue[Change] = SimpleQueue()
    while sorter.is_active():
        for name in sorter.get_ready():
            report(Change(name, "starting"))
            Thread(target=_start, args=(table[name], start, changes), name=f"component {name}", daemon=True).start()
        change = changes.get()
        report(change)
        if change.error is not None:
            raise ComponentFailed(change.component, change.error) from change.error
        sorter.done(change.component)


def _start(component: Component, start: Callable[[Component], None], changes: SimpleQueue[Change]) -> None:
    began = time.monotonic()
    try:
        start(component)
    except BaseException as error:  # noqa: BLE001 - the graph must learn of every end, or it waits for ever
        changes.put(Change(component.name, "failed", time.monotonic() - began, error))
    else:
        changes.put(Change(component.name, "ready", time.monotonic() - began))
