"""The back: goods from PostgreSQL with a small cache in Redis, passwords, orders."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeGuard

from prometheus_client import Counter
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from . import passwords, sessions, store
from .pricing import priced
from .service import Readiness, Unavailable, application, idempotency_key, json_error, json_object
from .sessions import connect
from .settings import Settings
from .store import NothingOrdered, Order, Store, UnknownProduct
from .telemetry import log

CATALOG = "catalog"
ORDERS = Counter("shop_orders", "Orders by outcome.", ["outcome"])
CACHE = Counter("shop_catalog_cache", "Reads of the catalog's cache.", ["outcome"])


@dataclass(slots=True)
class Catalog:
    """
    All products as JSON, kept in Redis for *ttl* milliseconds; without Redis they are read from PostgreSQL each time.

    A cache that takes longer than *patience* seconds is of no use, and is not asked again for *pause* seconds: the
    front, which waits for the answer, has little time.
    """

    store: Store
    redis: Redis
    ttl: int
    patience: float = 0.2
    pause: float = 2.0
    away_until: float = 0.0

    async def encoded(self) -> bytes:
        """The JSON list of all products."""
        cached = await self._cache(lambda: self.redis.get(CATALOG))
        if isinstance(cached, bytes):
            CACHE.labels("hit").inc()
            return cached
        CACHE.labels("miss").inc()
        raw = json.dumps(await self.store.products(), separators=(",", ":"), ensure_ascii=False).encode()
        await self._cache(lambda: self.redis.set(CATALOG, raw, px=self.ttl))
        return raw

    async def _cache(self, command: Callable[[], Awaitable[object]]) -> object:
        """What Redis answers to *command*; None where it is away."""
        if time.monotonic() < self.away_until:
            return None
        try:
            async with asyncio.timeout(self.patience):
                return await command()
        except sessions.FAILURES as error:
            self.away_until = time.monotonic() + self.pause
            log("warning", "catalog cache away", seconds=self.pause, error=f"{type(error).__name__} {error}".strip())
            return None


@dataclass(frozen=True, slots=True)
class Back:
    """
    The routes of the back.

    Prices are worked out for each answer, not cached: it is the work by which a pod's CPU follows its users.
    """

    store: Store
    catalog: Catalog

    def routes(self) -> list[Route]:
        """What the front may ask for."""
        return [
            Route("/catalog", self.products),
            Route("/catalog/{id:int}", self.product),
            Route("/accounts/verify", self.verify, methods=["POST"]),
            Route("/orders", self.order, methods=["POST"]),
        ]

    async def products(self, _request: Request) -> Response:
        """All products."""
        try:
            products = json.loads(await self.catalog.encoded())
        except store.FAILURES as error:
            raise _no_database(error) from error
        return JSONResponse({"products": [priced(product) for product in products]})

    async def product(self, request: Request) -> Response:
        """One product."""
        wanted = request.path_params["id"]
        try:
            products = json.loads(await self.catalog.encoded())
        except store.FAILURES as error:
            raise _no_database(error) from error
        for product in products:
            if product["id"] == wanted:
                return JSONResponse(priced(product))
        return json_error(404, f"no product {wanted}")

    async def verify(self, request: Request) -> Response:
        """Whether the password is the user's."""
        body = await json_object(request)
        user, password = body.get("user"), body.get("password")
        if not isinstance(user, str) or not isinstance(password, str):
            raise HTTPException(400, "user and password are needed, both strings")
        try:
            stored = await self.store.password(user)
        except store.FAILURES as error:
            raise _no_database(error) from error
        # The digest is made for unknown users too, so that an answer's time does not tell who has an account.
        if not passwords.matches(user, password, stored or b""):
            return json_error(401, "user and password do not match")
        return JSONResponse({"user": user})

    async def order(self, request: Request) -> Response:
        """201 for a new order, 200 for one that this key made before."""
        key = idempotency_key(request)
        body = await json_object(request)
        user, items = body.get("user"), body.get("items")
        if not isinstance(user, str) or not _items(items):
            raise HTTPException(400, "user and items (product id to quantity) are needed")
        try:
            placed = await self.store.order(user, key, items)
        except store.FAILURES as error:
            ORDERS.labels("failed").inc()
            raise _no_database(error) from error
        except NothingOrdered:
            return json_error(409, "the cart is empty")
        except UnknownProduct:
            return json_error(400, "an item is no product of ours")
        return _placed(placed)


def _placed(order: Order) -> Response:
    ORDERS.labels("created" if order.created else "repeated").inc()
    body = {"order_id": order.id, "total_cents": order.total_cents, "items": dict(order.items)}
    return JSONResponse(body, 201 if order.created else 200)


def _items(value: object) -> TypeGuard[dict[str, int]]:
    if not isinstance(value, dict):
        return False
    return all(product.isascii() and product.isdigit() and type(count) is int for product, count in value.items())


def _no_database(error: Exception) -> Unavailable:
    return Unavailable(f"the database is unavailable: {type(error).__name__} {error}".strip())


def back(settings: Settings) -> tuple[ASGIApp, Readiness]:
    """The back service, and how it is known to be ready."""
    pool = store.connect(settings)
    redis = connect(settings)
    goods = Store(pool)

    async def check() -> None:
        await goods.products()
        await redis.ping()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await pool.open()
        yield
        await pool.close(timeout=1.0)
        await redis.aclose()

    readiness = Readiness(check)
    routes = Back(goods, Catalog(goods, redis, round(settings.catalog_ttl * 1000))).routes()
    return application("back", settings, routes, readiness, lifespan), readiness
