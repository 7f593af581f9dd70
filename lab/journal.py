"""What the daemon writes of itself: `progress.jsonl`, a line a change, and `status.json`, how all is now."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

PROGRESS = "progress.jsonl"
STATUS = "status.json"


class Journal:
    """
    The progress of one daemon. The first line is `lab.started` with its process id, by which readers know it as new.

    Lines are `{"at": Unix seconds, "kind": "noun.change", "component": name or "", "message": text, "seconds": number}`.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / PROGRESS
        self._lock = Lock()
        self._path.unlink(missing_ok=True)

    def write(self, kind: str, message: str = "", *, component: str = "", seconds: float = 0.0) -> None:
        """Appends a line."""
        line = {
            "at": time.time(),
            "kind": kind,
            "component": component,
            "message": message,
            "seconds": round(seconds, 3),
            "pid": os.getpid(),
        }
        with self._lock, self._path.open("a") as progress:
            progress.write(json.dumps(line) + "\n")


def read_progress(state: Path, pid: int) -> list[dict[str, Any]]:
    """The whole lines that daemon *pid* has written so far; none while the file is another daemon's or not there."""
    try:
        text = (state / PROGRESS).read_text()
    except FileNotFoundError:
        return []
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return lines if lines and lines[0]["pid"] == pid else []


def write_status(state: Path, status: Mapping[str, Any]) -> None:
    """Replaces `status.json` as a whole: a reader never sees half of it."""
    fresh = state / f".{STATUS}"
    fresh.write_text(json.dumps(status, indent=1))
    fresh.replace(state / STATUS)
