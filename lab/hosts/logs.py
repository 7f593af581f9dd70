"""The log of a part: one file, appended to over its lives, bounded at each start."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

LONGEST = 20 * 1024 * 1024
_TAIL = 64 * 1024


def open_log(path: Path, argv: Sequence[str], *, longest: int = LONGEST) -> BinaryIO:
    """*path* for appending, begun with a line that says what starts; a log over *longest* bytes becomes `<name>.log.1`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > longest:
        path.replace(path.with_name(path.name + ".1"))
    log = path.open("ab", buffering=0)
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    log.write(f"--- {stamp} start: {shlex.join(argv)}\n".encode())
    return log


def read_tail(path: Path, lines: int = 20, *, since: int = 0) -> str:
    """The last *lines* lines of *path*, none from before byte *since*; empty when there is no such file."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(since, size - max(_TAIL, lines * 400)))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
