"""The front: what users talk to. It keeps sessions and carts in Redis and asks the back for all else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeGuard

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from . import pages
from . import sessions as kept
from .service import Readiness, Unavailable, application, idempotency_key, json_error, json_object
from .sessions import Session, Sessions, connect
from .settings import Settings
from .upstream import Call, HttpSender, Reply, Upstream, UpstreamFailed, upstream

COOKIE = "session"
MOST_OF_ONE = 99


@dataclass(frozen=True, slots=True)
class Front:
    """The routes of the front."""

    settings: Settings
    sessions: Sessions
    back: Upstream

    def routes(self) -> list[Route]:
        """What users may ask for."""
        return [
            Route("/", self.home),
            Route("/products", self.products),
            Route("/products/{id:int}", self.product),
            Route("/login", self.login, methods=["POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/cart", self.show_cart),
            Route("/cart", self.add_to_cart, methods=["POST"]),
            Route("/checkout", self.checkout, methods=["POST"]),
        ]

    async def home(self, _request: Request) -> Response:
        """The page a person looks at."""
        reply = await self._ask(Call("GET", "/catalog"))
        if reply.status != 200:
            return _passed_on(reply)
        return HTMLResponse(pages.home(reply.json()["products"], self.settings.pod, self.settings.zone))

    async def products(self, _request: Request) -> Response:
        """All products, their prices and monthly rates also as people write them."""
        reply = await self._ask(Call("GET", "/catalog"))
        if reply.status != 200:
            return _passed_on(reply)
        return JSONResponse({"products": [pages.shown(product) for product in reply.json()["products"]]})

    async def product(self, request: Request) -> Response:
        """One product."""
        return _passed_on(await self._ask(Call("GET", f"/catalog/{request.path_params['id']}")))

    async def login(self, request: Request) -> Response:
        """A session cookie and its bearer token, for a right password."""
        body = await json_object(request)
        user, password = body.get("user"), body.get("password")
        if not isinstance(user, str) or not isinstance(password, str):
            raise HTTPException(400, "user and password are needed, both strings")
        reply = await self._ask(Call("POST", "/accounts/verify", {"user": user, "password": password}))
        if reply.status != 200:
            return _passed_on(reply)
        try:
            session, token = await self.sessions.open(user)
        except kept.FAILURES as error:
            raise _no_redis(error) from error
        answer = JSONResponse({"token": token, "user": user})
        answer.set_cookie(COOKIE, session.id, max_age=self.sessions.ttl, httponly=True, samesite="lax")
        return answer

    async def logout(self, request: Request) -> Response:
        """The session ends."""
        session = await self._session(request)
        try:
            await self.sessions.close(session)
        except kept.FAILURES as error:
            raise _no_redis(error) from error
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE)
        return answer

    async def show_cart(self, request: Request) -> Response:
        """The cart as it is."""
        return JSONResponse({"items": await self._cart(await self._session(request))})

    async def add_to_cart(self, request: Request) -> Response:
        """The cart with some more in it."""
        session = await self._session(request)
        body = await json_object(request)
        product_id, quantity = body.get("product_id"), body.get("quantity", 1)
        if not _whole(product_id) or not _whole(quantity) or not 1 <= quantity <= MOST_OF_ONE:
            raise HTTPException(400, f"product_id and a quantity of 1-{MOST_OF_ONE} are needed, both whole numbers")
        try:
            items = await self.sessions.add(session, product_id, quantity)
        except kept.FAILURES as error:
            raise _no_redis(error) from error
        return JSONResponse({"items": items})

    async def checkout(self, request: Request) -> Response:
        """An order of what is in the cart; the same key again gives the same order."""
        key = idempotency_key(request)
        session = await self._session(request)
        items = await self._cart(session)
        # The back is asked even with an empty cart: an earlier try with this key may have made the order.
        order = Call("POST", "/orders", {"user": session.user, "items": items}, (("idempotency-key", key),))
        reply = await self._ask(order)
        if reply.status not in (200, 201):
            return _passed_on(reply)
        placed = reply.json()
        if placed.pop("items") == items:
            try:
                await self.sessions.empty(session)
            except kept.FAILURES as error:
                raise _no_redis(error) from error
        return JSONResponse(placed, reply.status)

    async def _session(self, request: Request) -> Session:
        cookie = request.cookies.get(COOKIE, "")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        session = None
        if cookie and token and scheme.lower() == "bearer":
            try:
                session = await self.sessions.find(cookie, token)
            except kept.FAILURES as error:
                raise _no_redis(error) from error
        if session is None:
            raise HTTPException(401, "log in first: no such session", {"www-authenticate": "Bearer"})
        return session

    async def _cart(self, session: Session) -> dict[str, int]:
        try:
            return await self.sessions.cart(session)
        except kept.FAILURES as error:
            raise _no_redis(error) from error

    async def _ask(self, call: Call) -> Reply:
        try:
            return await self.back.call(call)
        except UpstreamFailed as error:
            raise Unavailable(str(error)) from error


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _no_redis(error: Exception) -> Unavailable:
    return Unavailable(f"sessions are unavailable: Redis: {type(error).__name__} {error}")


def _passed_on(reply: Reply) -> Response:
    if reply.status >= 500:
        return json_error(503, f"the back answered with status {reply.status}")
    return Response(reply.content, reply.status, media_type="application/json")


def front(settings: Settings) -> tuple[ASGIApp, Readiness]:
    """The front service, and how it is known to be ready."""
    redis = connect(settings)
    sender = HttpSender(settings)
    back = upstream(settings, sender)

    async def check() -> None:
        await redis.ping()
        reply = await sender.send(Call("GET", "/healthz"), fresh=True)
        if reply.status != 200:
            raise ConnectionError(f"the back's /healthz says {reply.status}")

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await sender.close()
        await redis.aclose()

    readiness = Readiness(check)
    routes = Front(settings, Sessions(redis, round(settings.session_ttl)), back).routes()
    return application("front", settings, routes, readiness, lifespan), readiness
