"""Goods, accounts and orders in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from .settings import Settings

FAILURES = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, OSError)


Result = TypeVar("Result")


class UnknownProduct(Exception):
    """An order names a product that is not sold."""


class NothingOrdered(Exception):
    """An order without items, whose key is not known either."""


def connect(settings: Settings) -> AsyncConnectionPool[Any]:
    """A pool, still closed, that drops connections which a lost server has left behind."""
    milliseconds = round(settings.database_timeout * 1000)
    conninfo = make_conninfo(
        settings.database_url,
        connect_timeout=2,  # libpq's least
        tcp_user_timeout=milliseconds,
        keepalives_idle=2,
        keepalives_interval=1,
        keepalives_count=2,
        application_name=settings.pod,
        options=f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={2 * milliseconds}",
    )
    return AsyncConnectionPool(
        conninfo,
        min_size=1,
        max_size=settings.database_connections,
        timeout=settings.database_timeout,
        # A try that failed is repeated soon: the default waits up to minutes after an outage.
        reconnect_timeout=2.0,
        check=AsyncConnectionPool.check_connection,
        kwargs={"autocommit": True},
        open=False,
    )


@dataclass(frozen=True, slots=True)
class Order:
    """An order as PostgreSQL has it; *created* is false where its key had made it before."""

    id: int
    total_cents: int
    items: Mapping[str, int]
    created: bool


@dataclass(frozen=True, slots=True)
class Store:
    """Every method raises one of FAILURES when PostgreSQL does not answer in time."""

    pool: AsyncConnectionPool[Any]
    timeout: float = 1.5

    async def products(self) -> list[dict[str, Any]]:
        """All that is sold."""
        return await self._within(self._products())

    async def password(self, user: str) -> bytes | None:
        """The stored digest of *user*'s password."""
        return await self._within(self._password(user))

    async def order(self, user: str, key: str, items: Mapping[str, int]) -> Order:
        """The order of *user* with this *key*, made now or before; raises NothingOrdered, UnknownProduct."""
        return await self._within(self._order(user, key, items))

    async def _within(self, work: Coroutine[Any, Any, Result]) -> Result:
        """
        What *work* gives; raises TimeoutError after *timeout* seconds.

        The work is not awaited after that: psycopg takes up to ten seconds to give up a statement whose server hangs.
        """
        task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({task}, timeout=self.timeout)
        if not done:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody else will look at it
            task.cancel()
            raise TimeoutError(f"no answer within {self.timeout} s")
        return task.result()

    async def _products(self) -> list[dict[str, Any]]:
        async with self.pool.connection() as connection:
            rows = await (await connection.execute("SELECT id, name, price_cents FROM products ORDER BY id")).fetchall()
        return [{"id": row[0], "name": row[1], "price_cents": row[2]} for row in rows]

    async def _password(self, user: str) -> bytes | None:
        async with self.pool.connection() as connection:
            row = await (await connection.execute("SELECT password FROM accounts WHERE name = %s", [user])).fetchone()
        return None if row is None else bytes(row[0])

    async def _order(self, user: str, key: str, items: Mapping[str, int]) -> Order:
        async with self.pool.connection() as connection, connection.transaction():
            if not items:
                return await self._known(connection, user, key)
            inserted = await connection.execute(
                "INSERT INTO orders (account, key) VALUES (%s, %s) ON CONFLICT (account, key) DO NOTHING RETURNING id",
                [user, key],
            )
            row = await inserted.fetchone()
            if row is None:
                return await self._known(connection, user, key)
            total = await self._add_lines(connection, row[0], items)
        return Order(row[0], total, items, created=True)

    async def _add_lines(self, connection: psycopg.AsyncConnection[Any], order: int, items: Mapping[str, int]) -> int:
        lines = await connection.execute(
            "INSERT INTO order_lines (order_id, product_id, quantity, price_cents)"
            " SELECT %s, p.id, i.quantity, p.price_cents"
            " FROM unnest(%s::bigint[], %s::int[]) AS i (product_id, quantity) JOIN products p ON p.id = i.product_id"
            " RETURNING quantity * price_cents",
            [order, [int(product) for product in items], list(items.values())],
        )
        sums = [row[0] for row in await lines.fetchall()]
        if len(sums) != len(items):
            raise UnknownProduct  # and the transaction takes the order back
        await connection.execute("UPDATE orders SET total_cents = %s WHERE id = %s", [sum(sums), order])
        return sum(sums)

    async def _known(self, connection: psycopg.AsyncConnection[Any], user: str, key: str) -> Order:
        found = await connection.execute(
            "SELECT o.id, o.total_cents, l.product_id, l.quantity FROM orders o JOIN order_lines l ON l.order_id = o.id"
            " WHERE o.account = %s AND o.key = %s",
            [user, key],
        )
        rows = await found.fetchall()
        if not rows:
            raise NothingOrdered
        return Order(rows[0][0], rows[0][1], {str(row[2]): row[3] for row in rows}, created=False)
