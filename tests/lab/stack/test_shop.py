"""The shop's journeys against real PostgreSQL and Redis, and what users see when one of them is away."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.lab.stack.conftest import Shop, running

pytestmark = pytest.mark.lab


@pytest.fixture
def user(shop: Shop) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=10) as client:
        yield client


def signalled(process: subprocess.Popen[bytes], number: int) -> int:
    """How many processes of the tree got the signal."""
    root = psutil.Process(process.pid)
    tree = [root, *root.children(recursive=True)]
    for each in tree:
        each.send_signal(number)
    return len(tree)


def log_in(client: httpx.Client) -> dict[str, str]:
    answer = client.post("/login", json={"user": "user-0007", "password": "secret"})
    assert answer.status_code == 200
    return {"authorization": f"Bearer {answer.json()['token']}"}


def test_every_answer_says_who_gave_it_and_keeps_the_request_id(user: httpx.Client) -> None:
    answer = user.get("/products", headers={"x-request-id": "abc-1"})

    assert answer.status_code == 200
    assert len(answer.json()["products"]) == 120
    named = {name: answer.headers[name] for name in ("x-pod", "x-zone", "x-request-id")}
    assert named == {"x-pod": "front-0", "x-zone": "us-east-1a", "x-request-id": "abc-1"}


def test_the_page_shows_the_goods(user: httpx.Client) -> None:
    page = user.get("/")

    assert page.headers["content-type"].startswith("text/html")
    assert "Oak lamp, white" in page.text
    assert "€ 5.60" in page.text


def test_a_checkout_makes_one_order_however_often_its_key_comes(user: httpx.Client) -> None:
    token = log_in(user)
    assert user.post("/cart", json={"product_id": 7, "quantity": 2}, headers=token).json() == {"items": {"7": 2}}
    key = {**token, "idempotency-key": str(uuid.uuid4())}

    first, again = user.post("/checkout", headers=key), user.post("/checkout", headers=key)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["total_cents"] == 2 * (490 + 7 * 70)
    assert user.get("/cart", headers=token).json() == {"items": {}}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/products/999", None, 404),
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/cart", None, 405),
        ("POST", "/login", {"user": "user-0007", "password": "wrong"}, 401),
        ("POST", "/login", {"user": "nobody", "password": "secret"}, 401),
        ("POST", "/login", {"user": 7}, 400),
        ("POST", "/cart", {"product_id": 1}, 401),
        ("POST", "/checkout", None, 400),
    ],
)
def test_what_is_wrong_is_refused_with_its_status(
    user: httpx.Client, method: str, path: str, body: object, status: int
) -> None:
    answer = user.request(method, path, json=body)

    assert answer.status_code == status
    assert answer.headers["x-pod"] == "front-0"


def test_a_token_of_another_session_opens_nothing(user: httpx.Client, shop: Shop) -> None:
    token = log_in(user)
    with httpx.Client(base_url=shop.url, trust_env=False) as other:
        log_in(other)

        assert other.get("/cart", headers=token).status_code == 401


def test_an_empty_cart_is_a_conflict_and_unknown_goods_make_no_order(user: httpx.Client) -> None:
    token = log_in(user)

    empty = user.post("/checkout", headers={**token, "idempotency-key": str(uuid.uuid4())})
    user.post("/cart", json={"product_id": 4711}, headers=token)
    unknown = user.post("/checkout", headers={**token, "idempotency-key": str(uuid.uuid4())})

    assert (empty.status_code, unknown.status_code) == (409, 400)


def test_requests_are_counted_by_route_and_logged_with_their_id_in_both_services(
    user: httpx.Client, shop: Shop
) -> None:
    user.get("/products/3", headers={"x-request-id": "seen-by-both"})

    metrics = httpx.get(f"http://127.0.0.1:{shop.metrics_port}/metrics", trust_env=False).text
    lines = [
        json.loads(line)
        for name in ("front", "back")
        for line in (shop.logs / f"{name}.log").read_text().splitlines()
        if "seen-by-both" in line
    ]
    assert 'shop_requests_total{method="GET",route="/products/{id:int}",service="front",status="200"}' in metrics
    assert [(line["service"], line["status"]) for line in lines] == [("front", 200), ("back", 200)]


def test_without_redis_goods_are_shown_still_and_sessions_are_a_503(user: httpx.Client, shop: Shop) -> None:
    token = log_in(user)
    shop.redis.send_signal(signal.SIGSTOP)
    try:
        browse, cart = user.get("/products"), user.get("/cart", headers=token)
    finally:
        shop.redis.send_signal(signal.SIGCONT)

    assert (browse.status_code, cart.status_code) == (200, 503)
    assert "Redis" in cart.json()["error"]
    assert user.get("/cart", headers=token).status_code == 200


def test_a_hanging_database_is_a_503_soon_and_the_shop_recovers_by_itself(user: httpx.Client, shop: Shop) -> None:
    credentials = {"user": "user-0007", "password": "secret"}
    assert user.post("/login", json=credentials).status_code == 200
    stopped = signalled(shop.postgres, signal.SIGSTOP)
    try:
        answer = user.post("/login", json=credentials)
    finally:
        signalled(shop.postgres, signal.SIGCONT)

    assert stopped > 1
    assert answer.status_code == 503
    assert answer.elapsed.total_seconds() < 2.5
    deadline = time.monotonic() + 15
    while user.post("/login", json=credentials).status_code != 200:
        assert time.monotonic() < deadline


def test_a_hanging_back_is_a_503_within_the_budget(user: httpx.Client, shop: Shop) -> None:
    shop.back.send_signal(signal.SIGSTOP)
    try:
        answer = user.get("/products")
    finally:
        shop.back.send_signal(signal.SIGCONT)

    assert answer.status_code == 503
    assert 0.9 < answer.elapsed.total_seconds() < 2.5


# The two that end a process for good come last.
def test_a_database_that_was_away_for_seconds_is_found_again(user: httpx.Client, shop: Shop, tmp_path: Path) -> None:
    credentials = {"user": "user-0007", "password": "secret"}
    # SIGINT is PostgreSQL's fast shutdown.
    shop.postgres.send_signal(signal.SIGINT)
    shop.postgres.wait(10)
    down_until = time.monotonic() + 4
    statuses = set()
    while time.monotonic() < down_until:
        statuses.add(user.post("/login", json=credentials).status_code)
    with running(shop.database.argv(), tmp_path / "again.log", shop.database.answers, user="postgres"):
        back_again = time.monotonic()
        while user.post("/login", json=credentials).status_code != 200:
            assert time.monotonic() < back_again + 10

    assert statuses == {503}


def test_sigterm_fails_readyz_serves_on_and_ends_with_0(user: httpx.Client, shop: Shop) -> None:
    assert user.get("/readyz").status_code == 200
    shop.front.send_signal(signal.SIGTERM)

    ready = user.get("/readyz").status_code
    while ready == 200:
        ready = user.get("/readyz").status_code
    served = user.get("/cart")  # 401: an answer of the front's own, whatever else is away

    assert (ready, served.status_code, served.headers["connection"]) == (503, 401, "close")
    assert shop.front.wait(10) == 0
