"""Sessions and carts, kept in Redis so that any front pod can answer any user."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import FullJitterBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as TooSlow

from .settings import Settings

# A connection that ended while nobody used it shows itself as any of these: redis-py passes on the kernel's error, and
# uvloop calls writing to it a RuntimeError.
BROKEN = (NoConnection, TooSlow, OSError, RuntimeError)
FAILURES = (RedisError, OSError, RuntimeError)


def connect(settings: Settings) -> Redis:
    """A client with a pool that connects when first used, and once more when a connection turns out broken."""
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=settings.redis_timeout,
        socket_connect_timeout=settings.redis_timeout,
        socket_keepalive=True,
        retry=Retry(FullJitterBackoff(cap=0.1, base=0.02), 1, supported_errors=BROKEN),  # type: ignore[arg-type]  # takes any exception
        max_connections=64,
    )


def _digest(token: str) -> str:
    # Redis holds a digest only: who reads the cache cannot act as a user.
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Session:
    """Who is asking."""

    id: str
    user: str


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions of *ttl* seconds since last use; every method raises one of FAILURES when Redis does not answer in time."""

    redis: Redis
    ttl: int

    async def open(self, user: str) -> tuple[Session, str]:
        """A new session for *user* and the bearer token that belongs to it."""
        session, token = Session(secrets.token_urlsafe(18), user), secrets.token_urlsafe(24)
        pipe = self.redis.pipeline(transaction=True)
        pipe.hset(f"session:{session.id}", mapping={"user": user, "token": _digest(token)})
        pipe.expire(f"session:{session.id}", self.ttl)
        await pipe.execute()
        return session, token

    async def find(self, session_id: str, token: str) -> Session | None:
        """The session that both the cookie and the token belong to."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.hmget(f"session:{session_id}", ["user", "token"])
        pipe.expire(f"session:{session_id}", self.ttl)
        (user, digest), _ = await pipe.execute()
        if user is None or not hmac.compare_digest(digest, _digest(token).encode()):
            return None
        return Session(session_id, user.decode())

    async def close(self, session: Session) -> None:
        """The session and its cart are gone."""
        await self.redis.delete(f"session:{session.id}", f"cart:{session.id}")

    async def add(self, session: Session, product_id: int, quantity: int) -> dict[str, int]:
        """The cart after *quantity* of the product were added."""
        key = f"cart:{session.id}"
        pipe = self.redis.pipeline(transaction=True)
        pipe.hincrby(key, str(product_id), quantity)
        pipe.expire(key, self.ttl)
        pipe.hgetall(key)
        return _items((await pipe.execute())[2])

    async def cart(self, session: Session) -> dict[str, int]:
        """Quantities by product id."""
        return _items(await self.redis.hgetall(f"cart:{session.id}"))

    async def empty(self, session: Session) -> None:
        """The cart holds nothing."""
        await self.redis.delete(f"cart:{session.id}")


def _items(raw: Mapping[Any, Any]) -> dict[str, int]:
    return {product.decode(): int(quantity) for product, quantity in raw.items()}
