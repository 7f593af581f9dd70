"""How `lab up` shows its progress: a live table on a terminal, else a line a change; and the table of `lab status`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

MIB = 1024 * 1024
_COLOURS = {
    "running": "green",
    "ready": "green",
    "starting": "yellow",
    "stopped": "yellow",
    "dead": "red",
    "failed": "red",
}


class Display(Protocol):
    """Is shown each line of the daemon's progress, and None when nothing is new."""

    def show(self, lines: Iterable[Mapping[str, Any] | None]) -> None:
        """Shows *lines* until they end."""


class Quiet:
    """Shows nothing."""

    def show(self, lines: Iterable[Mapping[str, Any] | None]) -> None:
        """Only waits."""
        for _ in lines:
            pass


class Plain:
    """A line a change, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.time()

    def show(self, lines: Iterable[Mapping[str, Any] | None]) -> None:
        """Prints what happens as it happens."""
        for line in lines:
            if line is None:
                continue
            if line["kind"] == "lab.started":
                self._began = line["at"]
            text = _sentence(line)
            if text:
                self._console.print(f"{line['at'] - self._began:6.1f} s  {text}", markup=False, highlight=False)


class Terminal:
    """A table with a row a component, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: dict[str, dict[str, Any]] = {}
        self._began = time.time()
        self._spinner = Spinner("dots")

    def show(self, lines: Iterable[Mapping[str, Any] | None]) -> None:
        """Redraws as things happen and as time passes."""
        with Live(get_renderable=self._render, console=self._console, refresh_per_second=8):
            for line in lines:
                if line is not None:
                    self._take(line)

    def _take(self, line: Mapping[str, Any]) -> None:
        kind, _, change = line["kind"].partition(".")
        if line["kind"] == "lab.started":
            self._began = line["at"]
            self._rows = {name: {"state": "waiting", "said": ""} for name in line["message"].split()}
        elif kind == "component" and change == "said":
            self._rows.setdefault(line["component"], {"state": "starting"})["said"] = line["message"]
        elif kind == "component":
            self._rows[line["component"]] = {
                "state": change,
                "at": line["at"],
                "seconds": line["seconds"],
                "said": line["message"].partition("\n")[0],
            }

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for name, row in self._rows.items():
            state = row["state"]
            starting = state == "starting"
            mark: RenderableType = self._spinner if starting else {"ready": "✓", "failed": "✗"}.get(state, "·")
            seconds = time.time() - row.get("at", time.time()) if starting else row.get("seconds", 0.0)
            took = f"{seconds:.1f} s" if state != "waiting" else ""
            colour = _COLOURS.get(state, "dim")
            table.add_row(mark, Text(name, colour), took, Text(row["said"] if state != "ready" else "", "dim"))
        ready = sum(row["state"] == "ready" for row in self._rows.values())
        return Group(table, Text(f"{ready} of {len(self._rows)} ready after {time.time() - self._began:.0f} s", "bold"))


def display_for(console: Console, *, quiet: bool) -> Display:
    """The display that suits *console*."""
    if quiet:
        return Quiet()
    return Terminal(console) if console.is_terminal else Plain(console)


def parts_table(parts: Iterable[Mapping[str, Any]], total: Mapping[str, float]) -> Table:
    """A row a part, nodes last and each node's together; *total* is what all of the lab uses, pods too."""
    table = Table(box=None, pad_edge=False)
    for heading in ("PART", "HOST", "ZONE", "STATE"):
        table.add_column(heading, overflow="fold")
    table.add_column("MEMORY MiB", justify="right")
    table.add_column("CPU s", justify="right")
    for part in sorted(parts, key=lambda each: each["host"] if each["host"].startswith("i-") else ""):
        state = f"[{_COLOURS[part['state']]}]{part['state']}[/]" + (
            f" ({escape(part['reason'])})" if part["reason"] else ""
        )
        table.add_row(part["name"], part["host"], part["zone"] or "-", state, *_use(part))
    table.add_row("all, with pods", "", "", "", *_use(total), style="bold")
    return table


def _use(of: Mapping[str, float]) -> tuple[str, str]:
    return f"{of['memory'] / MIB:.0f}", f"{of['cpu']:.1f}"


def _sentence(line: Mapping[str, Any]) -> str:
    said = f"{line['component']}: {line['message']}" if line["component"] else line["message"]
    sentences = {
        "component.starting": f"{line['component']}: starting",
        "component.ready": f"{line['component']}: ready ({line['seconds']:.1f} s)",
        "component.failed": f"{line['component']}: FAILED ({line['seconds']:.1f} s)",  # why is said once, at the end
        "component.said": said,
        "thread.died": said,
        "lab.ready": f"the lab is up ({line['seconds']:.1f} s)",
    }
    return sentences.get(line["kind"], "")
