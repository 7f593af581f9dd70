"""The real shop on loopback: PostgreSQL, Redis, one front and one back, each a process of its own on a free port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lab.stack import redis
from lab.stack.postgres import Server

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Shop:
    url: str
    database: Server
    front: subprocess.Popen[bytes]
    back: subprocess.Popen[bytes]
    redis: subprocess.Popen[bytes]
    postgres: subprocess.Popen[bytes]
    metrics_port: int
    logs: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{process.args!r} is not ready, exit code {process.poll()}:\n{log.read_text()[-3000:]}")
        time.sleep(0.05)


@contextmanager
def running(
    argv: tuple[str, ...],
    log: Path,
    ready: Callable[[], bool],
    env: dict[str, str] | None = None,
    user: str | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        groups: list[int] | None = [] if user else None
        process = subprocess.Popen(
            argv, stdout=out, stderr=out, env={**os.environ, **(env or {})}, user=user, group=user, extra_groups=groups
        )
    try:
        wait_for(ready, process, log)
        yield process
    finally:
        process.send_signal(signal.SIGINT if user else signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    if os.geteuid() != 0:
        pytest.skip("PostgreSQL is started as the user postgres, which takes root")
    folder = Path(tempfile.mkdtemp(prefix="gdtry-shop-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with ExitStack() as stack:
            yield _start(stack, folder)
    finally:
        shutil.rmtree(folder)


def _start(stack: ExitStack, folder: Path) -> Shop:
    database = Server(folder / "postgres", "127.0.0.1", free_port(), clients="127.0.0.0/8")
    database.initialise()
    postgres = stack.enter_context(running(database.argv(), folder / "postgres.log", database.answers, user="postgres"))
    database.furnish()
    redis_port = free_port()
    cache = stack.enter_context(
        running(
            redis.argv("127.0.0.1", redis_port), folder / "redis.log", lambda: redis.answers("127.0.0.1", redis_port)
        )
    )
    ports = {name: free_port() for name in ("front", "back", "front-metrics", "back-metrics")}
    common = {
        "PYTHONPATH": str(ROOT),
        "SHOP_HOST": "127.0.0.1",
        "SHOP_ZONE": "us-east-1a",
        "SHOP_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "SHOP_DATABASE_URL": database.url,
        "SHOP_BACK_URL": f"http://127.0.0.1:{ports['back']}",
        "SHOP_DRAIN": "0.5",
    }
    processes = {}
    for name in ("back", "front"):
        own = {
            "SHOP_POD": f"{name}-0",
            "SHOP_PORT": str(ports[name]),
            "SHOP_METRICS_PORT": str(ports[f"{name}-metrics"]),
        }
        url = f"http://127.0.0.1:{ports[name]}/readyz"
        processes[name] = stack.enter_context(
            running(
                (sys.executable, "-m", "lab.stack.shop", name),
                folder / f"{name}.log",
                lambda url=url: answers(url),  # type: ignore[misc]
                env={**common, **own},
            )
        )
    url = f"http://127.0.0.1:{ports['front']}"
    return Shop(url, database, processes["front"], processes["back"], cache, postgres, ports["front-metrics"], folder)
