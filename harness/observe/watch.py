"""
Following a Kubernetes collection: list, watch from there, list again when the history is gone.

`Follower` knows the protocol, a `Ledger` what is known so far; neither knows how documents travel (a `Door` does).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.model.errors import CollectorLost
from harness.observe import views
from harness.observe.views import Document

GONE = 410
SHORTEST_SESSION = 0.5
SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 2.0


class HistoryGone(Exception):
    """The API no longer knows the version to watch from (HTTP 410)."""


class Door(Protocol):
    """A collection of the API. Both raise whatever goes wrong, HistoryGone for 410."""

    def read_all(self) -> tuple[Sequence[Document], str]:
        """All objects, and the version to watch from."""
        ...

    def watch(self, version: str) -> Iterator[Document]:
        """Changes since *version*, once the API has agreed to tell them; ends when the API ends the session."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """Something to record: *kind* is `noun.change`."""

    kind: str
    subject: str
    value: Mapping[str, Any]
    stamp: float | None = None


class Ledger(Protocol):
    """What is known of a collection; each call says what changed by it."""

    def replace(self, items: Sequence[Document]) -> list[Change]:
        """All there is now is *items*."""
        ...

    def apply(self, kind: str, document: Document) -> list[Change]:
        """The API says that *document* was ADDED, MODIFIED or DELETED."""
        ...


@dataclass(slots=True)
class Objects:
    """
    Objects as a view shows them: a change that the view does not show is none.

    *key* says which documents make up one thing (an object by its uid; a service's slices by the service), *subject*
    names it. Thread-safe, for `refresh` may come from another watch.
    """

    noun: str
    view: Callable[[Sequence[Document]], Mapping[str, Any]]
    key: Callable[[Document], str] = field(default=lambda document: str(document["metadata"]["uid"]))
    subject: Callable[[Document], str] = views.subject
    _documents: dict[str, dict[str, Document]] = field(default_factory=dict)
    _shown: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def replace(self, items: Sequence[Document]) -> list[Change]:
        """All there is now is *items*."""
        with self._lock:
            before = self._documents
            self._documents = {}
            for document in items:
                self._keep(document)
            gone = [key for key in before if key not in self._documents]
            lost = [self._lose(key, next(reversed(before[key].values()))) for key in gone]
            shown = [self._show(key) for key in self._documents]
        return [change for change in (*lost, *shown) if change is not None]

    def apply(self, kind: str, document: Document) -> list[Change]:
        """The API says that *document* was ADDED, MODIFIED or DELETED."""
        key = self.key(document)
        with self._lock:
            if kind == "DELETED":
                mine = self._documents.get(key, {})
                mine.pop(document["metadata"]["uid"], None)
                if not mine:
                    self._documents.pop(key, None)
                    change = self._lose(key, document)
                    return [] if change is None else [change]
            else:
                self._keep(document)
            change = self._show(key)
        return [] if change is None else [change]

    def refresh(self) -> list[Change]:
        """What the view shows may depend on more than the documents: look again at all of them."""
        with self._lock:
            changes = [self._show(key) for key in self._documents]
        return [change for change in changes if change is not None]

    def _keep(self, document: Document) -> None:
        self._documents.setdefault(self.key(document), {})[document["metadata"]["uid"]] = document

    def _show(self, key: str) -> Change | None:
        documents = tuple(self._documents[key].values())
        value, name = self.view(documents), self.subject(documents[-1])
        known = self._shown.get(key)
        self._shown[key] = (name, value)
        if known is None:
            return Change(f"{self.noun}.added", name, value, views.stamp(documents[-1]))
        if known[1] == value:
            return None
        return Change(f"{self.noun}.changed", name, value, views.stamp(documents[-1]))

    def _lose(self, key: str, last: Document) -> Change | None:
        name, value = self._shown.pop(key, ("", {}))
        return Change(f"{self.noun}.deleted", name, value, views.stamp(last)) if name else None


@dataclass(slots=True)
class Happenings:
    """Kubernetes events: each is told once for every time that it happened; what lay there at first is not told."""

    wanted: Callable[[Document], bool] = field(default=lambda _: True)
    _counts: dict[str, int] = field(default_factory=dict)
    _primed: bool = False

    def replace(self, items: Sequence[Document]) -> list[Change]:
        """All that the API still holds is *items*; those of them that are new are told."""
        told = [change for document in items for change in self.apply("ADDED", document)]
        primed, self._primed = self._primed, True
        return told if primed else []

    def apply(self, kind: str, document: Document) -> list[Change]:
        """An event came, or happened again; that the API forgets one is nothing."""
        uid, count = document["metadata"]["uid"], views.event_count(document)
        if kind == "DELETED" or not self.wanted(document) or self._counts.get(uid, 0) >= count:
            return []
        self._counts[uid] = count
        value, at = views.event(document), views.event_stamp(document)
        return [Change("kubernetes.event", views.event_subject(document), value, at)]


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of a watch: *tell* each change, *seen* while it lives, *lost* when it does not; *stop* ends it."""

    tell: Callable[[Iterable[Change]], None]
    seen: Callable[[], None]
    lost: Callable[[BaseException], None]
    stop: threading.Event


@dataclass(slots=True)
class Follower:
    """One collection, kept up to date in *ledger*; *version* is how far it was told."""

    door: Door
    ledger: Ledger
    listener: Listener
    version: str = ""

    def follow(self) -> None:
        """Keep up until told to stop; whatever fails is tried again, after ever longer pauses."""
        stop, pause = self.listener.stop, SHORTEST_PAUSE
        while not stop.is_set():
            began = time.monotonic()
            try:
                self.session()
            except HistoryGone:
                self.version = ""
            except Exception as error:  # noqa: BLE001 - whatever it is, the collection is not seen
                if not stop.is_set():
                    self.listener.lost(error)
            # A session that lasted was a good one; one that ended at once must not become a busy loop.
            if time.monotonic() - began > SHORTEST_SESSION:
                pause = SHORTEST_PAUSE
            else:
                stop.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def session(self) -> None:
        """One watch, from what is known (or a list, if nothing is) to the watch's end."""
        if not self.version:
            items, version = self.door.read_all()
            self.listener.tell(self.ledger.replace(items))
            self.version = version
        said = self.door.watch(self.version)
        self.listener.seen()
        for line in said:
            document = line["object"]
            if line["type"] == "ERROR":
                _raise(document)
            if line["type"] != "BOOKMARK":
                self.listener.tell(self.ledger.apply(line["type"], document))
            # Kept at once: a session that breaks must not be told again what it told already.
            self.version = document["metadata"]["resourceVersion"]


def _raise(status: Document) -> None:
    if status.get("code") == GONE:
        raise HistoryGone
    raise CollectorLost(f"the watch ended with {status.get('code')}: {status.get('message', status)}")
