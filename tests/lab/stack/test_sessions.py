"""Sessions outlive the connections that carried them, as after an outage of the zone that Redis is not in."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from lab.stack import redis
from lab.stack.shop.sessions import Sessions, connect
from lab.stack.shop.settings import Settings
from tests.lab.stack.conftest import free_port, running

pytestmark = pytest.mark.lab


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    number = free_port()
    argv = redis.argv("127.0.0.1", number)
    with running(argv, tmp_path / "redis.log", lambda: redis.answers("127.0.0.1", number)):
        yield number


class Link:
    """A relay to Redis whose connections can all be broken at once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.ends: list[asyncio.StreamWriter] = []
        self.relays: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            self.sever()
            await asyncio.wait(self.relays, timeout=5)

    def sever(self) -> None:
        for end in self.ends:
            # A reset, as from a server that has given the connection up, rather than an orderly end.
            end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()
        self.ends.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.ends += [writer, far_writer]
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self.relays.add(asyncio.create_task(_relay(source, sink)))


async def _relay(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(65536):
            sink.write(piece)
    except (OSError, RuntimeError):
        return  # severed


async def sever_and_go_on(port: int, rounds: int) -> list[dict[str, int]]:
    link = Link(port)
    carts = []
    async with link.open() as near:
        client = connect(Settings(redis_url=f"redis://127.0.0.1:{near}/0"))
        sessions = Sessions(client, 60)
        session, token = await sessions.open("user-0001")
        await sessions.add(session, 7, 1)
        for _ in range(rounds):
            carts += await asyncio.gather(*(sessions.cart(session) for _ in range(3)))
            link.sever()
            await asyncio.wait(link.relays, timeout=5)
            assert await sessions.find(session.id, token) == session
        await client.aclose()
    return carts


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_broken_connection_is_replaced_without_the_user_noticing(run: object, port: int) -> None:
    assert callable(run)

    assert run(sever_and_go_on(port, 10)) == [{"7": 1}] * 30
