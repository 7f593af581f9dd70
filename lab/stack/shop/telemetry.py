"""Every answer says who gave it, every request leaves one JSON line and is counted; too many at once are turned away."""

from __future__ import annotations

import json
import logging
import random
import re
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .settings import Settings

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
PROBES = frozenset({"/healthz", "/readyz"})
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)

request_id: ContextVar[str] = ContextVar("request_id", default="-")

REQUESTS = Counter("shop_requests", "Requests answered.", ["service", "route", "method", "status"])
SECONDS = Histogram("shop_request_seconds", "Time to answer a request.", ["service", "route"], buckets=BUCKETS)
IN_FLIGHT = Gauge("shop_requests_in_flight", "Requests being answered now.", ["service"])
SHED = Counter("shop_requests_shed", "Requests turned away because too many were in flight.", ["service"])


def log(level: str, message: str, **fields: object) -> None:
    """One JSON line on standard output, with the id of the request that is being answered."""
    line = {"at": round(time.time(), 6), "level": level, "message": message, "request_id": request_id.get(), **fields}
    sys.stdout.write(json.dumps(line, separators=(",", ":"), default=str) + "\n")
    sys.stdout.flush()


class JsonLines(logging.Handler):
    """What libraries log, as lines of the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line for *record*, its traceback in it."""
        about = {"logger": record.name}
        if record.exc_info:
            about["traceback"] = logging.Formatter().formatException(record.exc_info)
        log(record.levelname.lower(), record.getMessage(), **about)


def accepted_request_id(given: str | None) -> str:
    """*given* where it is 1-64 harmless characters, else a new id: what a user sends ends up in logs and headers."""
    if given is not None and REQUEST_ID.match(given):
        return given
    return uuid.uuid4().hex


@dataclass(slots=True)
class _Answer:
    """What became of one request."""

    began: float
    status: int = 500
    size: int = 0


class Telemetry:
    """ASGI middleware around a whole service; probes are answered but neither logged nor counted."""

    def __init__(
        self, app: ASGIApp, service: str, settings: Settings, routes: Sequence[Route], draining: Callable[[], bool]
    ) -> None:
        self.app = app
        self.service = service
        self.settings = settings
        self.draining = draining
        self.paths = {route.endpoint: route.path for route in routes}
        self.in_flight = IN_FLIGHT.labels(service)
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, from its id to its line in the log."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        request_id.set(accepted_request_id(Headers(scope=scope).get("x-request-id")))
        answer = _Answer(time.perf_counter())
        self.running += 1
        self.in_flight.set(self.running)
        try:
            app = self.app if self.running <= self.settings.max_in_flight else self._turn_away()
            await app(scope, receive, self._signed(send, answer))
        finally:
            self.running -= 1
            self.in_flight.set(self.running)
            self._record(scope, answer)

    def _turn_away(self) -> ASGIApp:
        SHED.labels(self.service).inc()
        return JSONResponse({"error": "too many requests in flight"}, 503, {"retry-after": "1"})

    def _signed(self, send: Send, answer: _Answer) -> Send:
        """*send*, with the pod's headers on the answer, and now and then the end of the connection announced."""

        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-pod"] = self.settings.pod
                headers["x-zone"] = self.settings.zone
                headers["x-request-id"] = request_id.get()
                # A Service picks a pod per connection: long-lived ones would never reach pods that joined later.
                if self.draining() or random.random() * self.settings.recycle < 1:
                    headers["connection"] = "close"
            else:
                answer.size += len(message.get("body", b""))
            await send(message)

        return signed

    def _record(self, scope: Scope, answer: _Answer) -> None:
        seconds = time.perf_counter() - answer.began
        # A path that no route knows is one label value: a scanner must not fill Prometheus.
        route = self.paths.get(scope.get("endpoint", self), "unmatched")
        REQUESTS.labels(self.service, route, scope["method"], str(answer.status)).inc()
        SECONDS.labels(self.service, route).observe(seconds)
        log(
            "error" if answer.status >= 500 else "info",
            "request",
            service=self.service,
            method=scope["method"],
            path=scope["path"],
            route=route,
            status=answer.status,
            seconds=round(seconds, 6),
            bytes=answer.size,
            pod=self.settings.pod,
            zone=self.settings.zone,
        )
