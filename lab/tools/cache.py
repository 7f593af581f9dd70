"""Where the lab keeps what is costly to make: outside the checkout, so that every clone on the machine shares it."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """`$GAMEDAY_CACHE`, or `gameday` in the user's cache folder; it need not exist yet."""
    chosen = os.environ.get("GAMEDAY_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "gameday"
