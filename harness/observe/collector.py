"""What a collector is, and how it tells whether it can see."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import Protocol

from harness.rundir import RunDir

FIRST_LOOK_WITHIN = 10.0
LONGEST_PAUSE = 5.0

log = logging.getLogger(__name__)


class Collector(Protocol):
    """Watches one source from `start` to `stop` and writes what it sees; neither raises, whatever the source does."""

    name: str

    def start(self, folder: RunDir) -> None:
        """Begin to watch and to write into *folder*; returns once there was a first look."""
        ...

    def stop(self) -> None:
        """Write what is left and end."""
        ...


@dataclass(slots=True)
class Presence:
    """
    Whether collector *name* sees its source; writes observe.started, lost, resumed and stopped.

    A source may have several parts: it counts as lost while any of them is.
    """

    name: str
    folder: RunDir
    _started: bool = False
    _lost: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seen(self, part: str = "") -> None:
        """*part* of the source answers."""
        with self._lock:
            was_lost = bool(self._lost)
            self._lost.pop(part, None)
            if self._lost:
                return
            if not self._started:
                self._started = True
                self._write("observe.started")
            elif was_lost:
                self._write("observe.resumed")

    def lost(self, error: BaseException, part: str = "") -> None:
        """*part* of the source does not answer."""
        said = f"{part}: " if part else ""
        said += f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        with self._lock:
            first = not self._lost
            self._lost[part] = said
            if first:
                self._started = self._started or self._write("observe.started", looking=True)
                self._write("observe.lost", error=said)

    def stopped(self) -> None:
        """Nobody looks any more."""
        with self._lock:
            self._write("observe.stopped")

    def _write(self, kind: str, **value: object) -> bool:
        try:
            self.folder.append_event(self.name, kind, self.name, value)
        except OSError:
            log.exception("cannot write %s of %s to the record", kind, self.name)
        return True


class Source(Protocol):
    """What a polling collector asks."""

    def open(self, folder: RunDir) -> None:
        """Get ready to write into *folder*."""
        ...

    def poll(self) -> None:
        """Look once; raises when it cannot."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


@dataclass(slots=True)
class PollingCollector:
    """Asks *source* every *every* seconds, in a thread; a source that fails is asked again, after ever longer pauses."""

    name: str
    source: Source
    every: float
    _stop: threading.Event = field(default_factory=threading.Event)
    _looked: threading.Event = field(default_factory=threading.Event)
    _presence: Presence | None = None
    _thread: threading.Thread | None = None

    def start(self, folder: RunDir) -> None:
        """Begin; returns once the source was looked at for the first time, with or without success."""
        self._presence = Presence(self.name, folder)
        self._thread = threading.Thread(target=self._run, args=(folder,), name=f"observe-{self.name}", daemon=True)
        self._thread.start()
        self._looked.wait(FIRST_LOOK_WITHIN)

    def stop(self) -> None:
        """Look a last time, write what is left, end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(FIRST_LOOK_WITHIN)

    def _run(self, folder: RunDir) -> None:
        presence = Presence(self.name, folder) if self._presence is None else self._presence
        try:
            opened = False
            pause = 1.0
            while True:
                last = self._stop.is_set()
                try:
                    if not opened:
                        self.source.open(folder)
                        opened = True
                    self.source.poll()
                except Exception as error:  # noqa: BLE001 - whatever it is, the source is not seen
                    presence.lost(error)
                    wait, pause = min(pause, self.every), min(pause * 2, LONGEST_PAUSE)
                else:
                    presence.seen()
                    wait, pause = self.every, 1.0
                self._looked.set()
                if last:
                    break
                self._stop.wait(wait)
            if opened:
                self._close()
        finally:
            presence.stopped()

    def _close(self) -> None:
        try:
            self.source.close()
        except Exception:
            log.exception("the last samples of %s could not be written", self.name)
