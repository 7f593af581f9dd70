"""A Locust user on a schedule: journeys begin when they are due, whatever the service does."""

from __future__ import annotations

import copy
import itertools
import json
import os
import random
import time
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from locust import FastHttpUser

from harness.load.schedule import Ledger, Pace, Start

SEED = int(os.environ.get("GAMEDAY_SEED") or 0)
LEDGER = Ledger(seed=SEED)
ENTRYPOINTS: Sequence[str] = tuple(json.loads(os.environ.get("GAMEDAY_ENTRYPOINTS") or "[]"))

_numbers = itertools.count()


class ScheduledUser(FastHttpUser):  # type: ignore[misc]
    """
    Begins a journey (a task) *every* seconds, at an offset of its own; late ones are caught up, not lost.

    Users are spread over GAMEDAY_ENTRYPOINTS (else all go to `--host`). After a request without an answer the user's
    next one goes to the next entrypoint, as a browser's does that knows several addresses; nothing is sent twice.
    """

    abstract = True
    host: str | None = None
    every = 5.0
    connection_timeout = 2.0
    network_timeout = 5.0
    concurrency = 1  # one connection a user, as few as its single greenlet can use

    def __init__(self, environment: Any) -> None:
        self.number = next(_numbers)
        self.random = random.Random(f"{SEED}/{self.number}")
        self._addresses = itertools.cycle(_rotated(ENTRYPOINTS or [self.host], self.number))
        self.host = next(self._addresses)
        super().__init__(environment)
        self._pace: Pace | None = None
        self._due: Start | None = None
        self._travelling = False

    def on_start(self) -> None:
        """The user joins the schedule and stands idle until its first journey."""
        self._pace = LEDGER.join(time.perf_counter(), self.every)
        self.wait()

    def on_stop(self) -> None:
        """The user leaves the schedule."""
        if self._travelling:
            LEDGER.completed += 1
            self._travelling = False
        if self._pace is not None:
            LEDGER.leave(self._pace, time.perf_counter())

    def wait_time(self) -> float:
        """
        Nothing is left to wait for: the user has slept until its next journey's time when this returns.

        Locust calls it with the user marked as waiting, so that a user that has to go does not sleep on.
        """
        if self._due is not None:  # the journey had no request
            self._begin(self._due)
        if self._travelling:
            LEDGER.completed += 1
            self._travelling = False
        if self._pace is None:  # a subclass's on_start left out ours
            self._pace = LEDGER.join(time.perf_counter(), self.every)
        self._due = self._pace.next(time.perf_counter())
        if self._due.wait > 0:
            self._taskset_instance._sleep(self._due.wait)  # noqa: SLF001 - Locust's own sleep, which tests may replace
        return 0.0

    def context(self) -> dict[str, Any]:
        """
        For the recorder: when the request was wanted. A journey's first when that was due, the others as they start.

        A journey begins with its first request: only then is it known how late it is.
        """
        return {"intended": None if self._due is None else self._begin(self._due)}

    def _begin(self, due: Start) -> float:
        """The journey that was *due* is under way; when that was, in Unix seconds."""
        now = time.perf_counter()
        if self._pace is not None:
            self._pace.begin()
        LEDGER.began(due, now)
        self._due = None
        self._travelling = True
        return time.time() - (now - due.intended)

    def send(self, method: str, path: str, name: str, **arguments: Any) -> Any:
        """One request under *name*, with a request id of its own; *arguments* as for FastHttpSession.request."""
        request_id = str(uuid.uuid4())
        headers = {**arguments.pop("headers", {}), "x-request-id": request_id}
        response = self.client.request(
            method, path, name=name, headers=headers, context={"request_id": request_id}, **arguments
        )
        if not response.status_code:
            self._move()
        return response

    def abandon(self) -> None:
        """Count the journey as ended early: a step failed that the next one needs."""
        LEDGER.abandoned += 1

    def _move(self) -> None:
        """Take the next entrypoint; cookies come along, for all of them are addresses of one site."""
        before, after = self.client.base_url, next(self._addresses)
        if before is None or after is None or after == before:
            return
        self.client.base_url = after
        for cookie in list(self.client.cookiejar):
            if cookie.domain == _cookie_domain(before):
                moved = copy.copy(cookie)
                moved.domain = _cookie_domain(after)
                self.client.cookiejar.set_cookie(moved)


def _rotated(addresses: Sequence[str | None], by: int) -> list[str | None]:
    start = by % len(addresses)
    return [*addresses[start:], *addresses[:start]]


def _cookie_domain(url: str) -> str:
    """The domain under which the standard library's cookie jar keeps cookies of *url*'s host."""
    host = urlsplit(url).hostname or ""
    return host if "." in host else f"{host}.local"
