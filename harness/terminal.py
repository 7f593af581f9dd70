"""Progress for people: one live line on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

PLAIN_EVERY = 15.0


class Progress:
    """
    What is being done and for how long, until the block ends.

    A terminal gets one line that moves; anything else a line for each new step and one each 15 s.
    """

    def __init__(self, console: Console, *, quiet: bool, title: str) -> None:
        self._console = console
        self._quiet = quiet
        self._title = title
        self._step = "starting"
        self._began = time.monotonic()
        self._expected = 0.0
        self._ended = threading.Event()
        self._status: Status | None = None
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def expect(self, seconds: float) -> None:
        """Say beforehand how long it will take, about."""
        self._expected = seconds

    def say(self, step: str) -> None:
        """The next step began; saying the same again says nothing."""
        if step == self._step:
            return
        self._step = step
        if not self._quiet and self._status is None:
            self._console.print(self._line(), markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if not self._quiet:
            if self._console.is_terminal:
                self._status = self._console.status(self._line())
                self._status.start()
            else:
                self._console.print(self._title, markup=False)
            self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        if self._status is not None:
            self._status.stop()

    def _line(self) -> str:
        took = time.monotonic() - self._began
        expected = f" of about {self._expected:.0f}" if self._expected else ""
        return f"{self._title}: {self._step} ({took:.0f}{expected} s)"

    def _tick(self) -> None:
        while not self._ended.wait(0.5 if self._status is not None else PLAIN_EVERY):
            if self._status is not None:
                self._status.update(self._line())
            else:
                self._console.print(self._line(), markup=False, soft_wrap=True)
