"""Calls from the front to the back: short timeouts, few retries, each retry on a connection of its own."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpcore
from prometheus_client import Counter

from .settings import Settings
from .telemetry import log, request_id

ATTEMPTS = Counter("shop_upstream_attempts", "Tries of calls to the back.", ["outcome"])
RETRIED_STATUSES = frozenset({502, 503, 504})
FAILURES = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, TimeoutError, OSError)


class UpstreamFailed(Exception):
    """The back gave no usable answer within the time there was."""


@dataclass(frozen=True, slots=True)
class Call:
    """
    One request to the back; *body* is sent as JSON.

    Every call of the shop may be repeated: reads by nature, checking a password by nature, an order by its key.
    """

    method: str
    path: str
    body: object = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """The back's answer, its JSON as bytes."""

    status: int
    content: bytes

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.content)


class Sender(Protocol):
    """Does one try; *fresh* asks for a new connection, which kube-proxy may send to another pod."""

    async def send(self, call: Call, *, fresh: bool) -> Reply:
        """The answer, whatever its status; raises one of FAILURES."""
        ...


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how soon a call is tried again; times in seconds."""

    limit: int
    attempt_timeout: float
    call_timeout: float
    jitter: float
    draw: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def pause(self, attempt: int) -> float:
        """Seconds before try number *attempt* + 1: full jitter, its bound doubled each time."""
        return float(self.draw() * self.jitter * 2**attempt)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The back as the front sees it."""

    sender: Sender
    retries: Retries
    outcomes: Callable[[str], None] = field(default=lambda outcome: ATTEMPTS.labels(outcome).inc())

    async def call(self, call: Call) -> Reply:
        """The back's answer, which may be any status but 502-504; raises UpstreamFailed."""
        try:
            async with asyncio.timeout(self.retries.call_timeout):
                return await self._tries(call)
        except TimeoutError:
            self.outcomes("deadline")
            message = f"{call.method} {call.path}: no answer from the back within {self.retries.call_timeout} s"
            raise UpstreamFailed(message) from None

    async def _tries(self, call: Call) -> Reply:
        because = ""
        for attempt in range(self.retries.limit + 1):
            if attempt:
                await self.retries.sleep(self.retries.pause(attempt - 1))
            try:
                async with asyncio.timeout(self.retries.attempt_timeout):
                    reply = await self.sender.send(call, fresh=attempt > 0)
            except FAILURES as error:
                because = f"{type(error).__name__} {error}".strip()
            else:
                if reply.status not in RETRIED_STATUSES:
                    self.outcomes("answered")
                    return reply
                because = f"status {reply.status}"
            self.outcomes("failed")
            log("warning", "call to the back failed", call=f"{call.method} {call.path}", attempt=attempt, error=because)
        raise UpstreamFailed(f"{call.method} {call.path}: {self.retries.limit + 1} tries failed, last: {because}")


class HttpSender:
    """Sends over HTTP: first tries share kept connections, retries open one of their own."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.back_url
        bound = settings.attempt_timeout
        connect = settings.connect_timeout
        self.timeout = {"connect": connect, "read": bound, "write": bound, "pool": bound}
        self.kept = httpcore.AsyncConnectionPool(max_connections=64, max_keepalive_connections=16, keepalive_expiry=10)
        self.fresh = httpcore.AsyncConnectionPool(max_connections=64, max_keepalive_connections=0)

    async def send(self, call: Call, *, fresh: bool) -> Reply:
        """One try; raises what httpcore raises."""
        headers = [("x-request-id", request_id.get()), *call.headers]
        content = None
        if call.body is not None:
            content = json.dumps(call.body, separators=(",", ":")).encode()
            headers.append(("content-type", "application/json"))
        pool = self.fresh if fresh else self.kept
        response = await pool.request(
            call.method,
            self.url + call.path,
            headers=headers,
            content=content,
            extensions={"timeout": self.timeout},
        )
        return Reply(response.status, response.content)

    async def close(self) -> None:
        """Ends all connections."""
        await self.kept.aclose()
        await self.fresh.aclose()


def upstream(settings: Settings, sender: Sender) -> Upstream:
    """The back behind *sender*, with the retries that *settings* state."""
    retries = Retries(settings.retries, settings.attempt_timeout, settings.call_timeout, settings.retry_jitter)
    return Upstream(sender, retries)
