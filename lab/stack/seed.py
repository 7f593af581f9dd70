"""What the shop sells and who may buy: the same in every lab."""

from __future__ import annotations

from pathlib import Path

import psycopg

from lab.stack.shop import passwords

PASSWORD = "secret"  # noqa: S105 - every user of a lab has it; it opens nothing else
USERS = 1000
SCHEMA = Path(__file__).with_name("schema.sql")
_THINGS = ("Lamp", "Chair", "Kettle", "Blanket", "Notebook", "Clock")
_MATERIALS = ("Oak", "Steel", "Wool", "Glass", "Linen")
_COLOURS = ("white", "red", "green", "black")


def products() -> list[tuple[int, str, int]]:
    """Id, name and price in cents of all that is sold."""
    names = [f"{m} {thing.lower()}, {colour}" for colour in _COLOURS for thing in _THINGS for m in _MATERIALS]
    return [(number, name, 490 + 70 * number) for number, name in enumerate(names, 1)]


def users() -> list[str]:
    """The names of all who have an account."""
    return [f"user-{number:04d}" for number in range(1, USERS + 1)]


def plant(connection: psycopg.Connection) -> None:
    """The tables exist with all goods and accounts; what was there stays, orders among it."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(SCHEMA.read_text())
        cursor.executemany(
            "INSERT INTO products VALUES (%s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, price_cents = excluded.price_cents",
            products(),
        )
        last = users()[-1]
        cursor.execute("SELECT password FROM accounts WHERE name = %s", [last])
        row = cursor.fetchone()
        # Making a thousand digests takes two seconds, so it is done once.
        if row is not None and bytes(row[0]) == passwords.digest(last, PASSWORD):
            return
        cursor.executemany(
            "INSERT INTO accounts VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET password = excluded.password",
            [(user, passwords.digest(user, PASSWORD)) for user in users()],
        )
