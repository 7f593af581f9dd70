"""Progress of a long step for whoever watches: a live line on a terminal, else a plain line every few seconds."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

Style = Literal["auto", "plain", "silent"]


class Progress:
    """
    What is being done and since when, on standard error.

    *style* auto is live on a terminal and plain elsewhere; silent says nothing at all.
    *every* is the seconds between two plain lines.
    """

    def __init__(self, title: str, style: Style = "auto", every: float = 10.0) -> None:
        self.title = title
        self._silent = style == "silent"
        self._doing = ""
        self._started = time.monotonic()
        self._console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._ended = threading.Event()
        self._ticker: threading.Thread | None = None
        if style == "auto" and self._console.is_terminal:
            self._live = Live(get_renderable=self._line, console=self._console, transient=True, refresh_per_second=4)
        elif style != "silent":
            self._ticker = threading.Thread(target=self._tick, args=(every,), name="progress", daemon=True)

    @property
    def elapsed(self) -> float:
        """Seconds since this step began."""
        return time.monotonic() - self._started

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        if self._ticker:
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the live line or the plain lines; nothing the second time."""
        self._ended.set()
        if self._live:
            self._live.stop()
        if self._ticker:
            self._ticker.join()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if not self._silent:
            self._console.print(text, markup=False)

    def doing(self, text: str) -> None:
        """Show *text* as what is being done now."""
        self._doing = text

    def _line(self) -> Text:
        line = f"  {self.title} · {clock(self.elapsed)}" + (f" · {self._doing}" if self._doing else "")
        return Text(line, overflow="ellipsis", no_wrap=True)

    def _tick(self, every: float) -> None:
        while not self._ended.wait(every):
            self.say(self._line().plain)


def clock(seconds: float) -> str:
    """*seconds* as a person says them: `42 s`, `5 min 08 s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
