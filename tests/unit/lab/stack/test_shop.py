"""What the shop makes of single values: prices, passwords, request ids, readiness."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Message

from lab.stack import seed
from lab.stack.shop import pages, passwords
from lab.stack.shop.pricing import monthly, priced, without_tax
from lab.stack.shop.service import Readiness
from lab.stack.shop.settings import Settings
from lab.stack.shop.telemetry import Telemetry, accepted_request_id

CENTS = st.integers(1, 10_000_000)


@given(CENTS)
def test_the_net_price_and_its_tax_make_the_price(cents: int) -> None:
    assert abs(without_tax(cents) * 119 - cents * 100) <= 60


@given(CENTS, st.sampled_from([6, 12, 24]))
def test_monthly_rates_together_cost_more_than_the_price_but_not_much(cents: int, months: int) -> None:
    rounding = months / 2
    paid = monthly(cents, months) * months

    assert cents - rounding <= paid <= cents * 1.06 + rounding


def test_the_page_shows_every_product_and_lets_no_name_become_markup() -> None:
    seen: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            seen.append(tag)

    page = pages.home([priced({"id": 1, "name": "<script>", "price_cents": 560})] * 3, "front-1", "us-east-1a")
    Tags().feed(page)

    assert seen.count("li") == 3
    assert "script" not in seen
    assert "€ 5.60" in page


def test_a_password_matches_only_its_own_user() -> None:
    stored = passwords.digest("user-0001", "secret")

    assert passwords.matches("user-0001", "secret", stored)
    assert not passwords.matches("user-0002", "secret", stored)
    assert not passwords.matches("user-0001", "Secret", stored)


def test_goods_and_users_have_names_of_their_own() -> None:
    names = [name for _, name, _ in seed.products()]

    assert len(set(names)) == len(names) == 120
    assert len(set(seed.users())) == 1000


@given(st.text())
def test_a_request_id_is_taken_only_when_it_is_harmless(given_id: str) -> None:
    taken = accepted_request_id(given_id)

    assert 1 <= len(taken) <= 64
    assert taken.isascii()
    assert all(c.isalnum() or c in "._-" for c in taken)


def test_a_pod_is_ready_once_its_dependencies_answered_and_until_it_drains() -> None:
    working = False

    async def check() -> None:
        if not working:
            raise ConnectionError("refused")

    readiness = Readiness(check)
    before = asyncio.run(readiness.ready())
    working = True
    met = asyncio.run(readiness.ready())
    working = False
    lost = asyncio.run(readiness.ready())
    readiness.draining = True

    assert before == (False, "waiting for a dependency: ConnectionError refused")
    assert met == lost == (True, "ready")
    assert asyncio.run(readiness.ready()) == (False, "draining")


@pytest.mark.parametrize(("in_flight", "status"), [(1, 200), (2, 503)])
def test_more_requests_than_a_pod_can_take_are_turned_away_and_say_by_whom(in_flight: int, status: int) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("the body is not read")

    settings = Settings(pod="front-1", zone="us-east-1b", max_in_flight=1)
    app = Telemetry(PlainTextResponse("hello"), "front", settings, [], lambda: False)
    app.running = in_flight - 1
    scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
    asyncio.run(app(scope, receive, send))

    headers = dict(sent[0]["headers"])
    assert sent[0]["status"] == status
    assert (headers[b"x-pod"], headers[b"x-zone"]) == (b"front-1", b"us-east-1b")
    assert app.running == in_flight - 1
