"""What front and back have in common: probes, errors, life and a graceful death."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from json import JSONDecodeError
from types import FrameType
from typing import Any

import uvicorn
from prometheus_client import start_http_server
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .settings import Settings
from .telemetry import JsonLines, Telemetry, log

IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
Check = Callable[[], Awaitable[None]]


class Unavailable(Exception):
    """Something that the service needs does not answer; the user is told so and may try again."""


@dataclass(slots=True)
class Readiness:
    """
    Whether the pod wants traffic: once its dependencies have answered, until it drains.

    A dependency that is lost later does not make the pod unready: it is lost for all pods at once, and a load balancer
    without any server helps nobody, while this pod can still say what is wrong.
    """

    check: Check
    met: bool = False
    draining: bool = False

    async def ready(self) -> tuple[bool, str]:
        """The answer and why."""
        if self.draining:
            return False, "draining"
        if not self.met:
            try:
                async with asyncio.timeout(1.5):
                    await self.check()
            except Exception as error:  # noqa: BLE001 - whatever it is, the pod is not ready and says why
                return False, f"waiting for a dependency: {type(error).__name__} {error}"
            self.met = True
        return True, "ready"


def json_error(status: int, message: str) -> JSONResponse:
    """An error as every route of the shop words it."""
    return JSONResponse({"error": message}, status)


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty object; raises HTTPException 400."""
    raw = await request.body()
    if not raw:
        return {}
    try:
        body = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return body


def idempotency_key(request: Request) -> str:
    """The request's Idempotency-Key; raises HTTPException 400 where it has none that is sound."""
    key = request.headers.get("idempotency-key", "")
    if not IDEMPOTENCY_KEY.match(key):
        raise HTTPException(400, "Idempotency-Key: 8-64 characters of A-Z a-z 0-9 . _ - are needed")
    return key


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - starlette's handlers are typed for any Exception
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _unavailable(request: Request, error: Exception) -> Response:
    log("error", "dependency unavailable", path=request.url.path, error=str(error))
    return JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})


def application(
    name: str,
    settings: Settings,
    routes: Sequence[Route],
    readiness: Readiness,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]],
) -> ASGIApp:
    """The service *name*: its routes, the probes, and telemetry around all of it."""

    async def healthz(_request: Request) -> Response:
        # Alive means that the event loop answers; what the pod depends on is no reason to restart it.
        return Response("alive\n", media_type="text/plain")

    async def readyz(_request: Request) -> Response:
        ready, because = await readiness.ready()
        return Response(because + "\n", 200 if ready else 503, media_type="text/plain")

    probes = [Route("/healthz", healthz), Route("/readyz", readyz)]
    app = Starlette(
        routes=[*routes, *probes],
        exception_handlers={HTTPException: _refused, Unavailable: _unavailable},
        lifespan=lifespan,
    )
    return Telemetry(app, name, settings, routes, lambda: readiness.draining)


class DrainingServer(uvicorn.Server):
    """On SIGTERM it fails /readyz at once, serves on for *drain* seconds, finishes what it has and exits 0."""

    def __init__(self, config: uvicorn.Config, readiness: Readiness, drain: float) -> None:
        super().__init__(config)
        self.readiness = readiness
        self.drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal handler that ends in exit 0, where uvicorn's own would end by the signal: being asked to go is no failure, so exit 0."""
        if sig != signal.SIGTERM or self.readiness.draining:
            super().handle_exit(sig, frame)
            return
        self.readiness.draining = True
        log("info", "draining", seconds=self.drain)
        asyncio.get_running_loop().call_soon_threadsafe(self._leave_later)

    def _leave_later(self) -> None:
        asyncio.get_running_loop().call_later(self.drain, self._leave)

    def _leave(self) -> None:
        self.should_exit = True


def serve(app: ASGIApp, settings: Settings, readiness: Readiness) -> None:
    """Serves until SIGTERM has been honoured; metrics are on a port of their own, off the users' way."""
    logging.basicConfig(level=logging.WARNING, handlers=[JsonLines()])
    start_http_server(settings.metrics_port, addr=settings.host)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=round(settings.drain_within),
    )
    DrainingServer(config, readiness, settings.drain).run()
