"""Redis on a host of its own in one zone: sessions, carts and the catalog's cache, none of it kept over a restart."""

from __future__ import annotations

import socket

from lab.context import REDIS, Lab
from lab.hosts.interfaces import Part

PORT = 6379


def argv(address: str, port: int = PORT) -> tuple[str, ...]:
    """The command line of a server at *address*."""
    options = {
        "bind": address,
        "port": str(port),
        # Whoever reaches the address may use it, as with a cache inside a VPC; the lab has no way in but its own link.
        "protected-mode": "no",
        "save": "",
        "appendonly": "no",
        "maxmemory": "64mb",
        "maxmemory-policy": "volatile-lru",
        "tcp-keepalive": "10",
        "timeout": "0",
    }
    return ("redis-server", *(word for name, value in options.items() for word in (f"--{name}", value)))


def answers(address: str, port: int = PORT) -> bool:
    """Whether a PING is answered now."""
    try:
        with socket.create_connection((address, port), timeout=1.0) as connection:
            connection.settimeout(1.0)
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def start(lab: Lab) -> None:
    """Redis answers."""
    lab.hosts.add(REDIS)
    address = str(REDIS.address)
    folder = lab.state / "parts" / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    lab.parts.start(
        Part(name="redis", host=REDIS, user="redis", argv=argv(address), cwd=folder, ready=lambda: answers(address))
    )
