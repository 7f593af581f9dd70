"""Calls from the front to the back: what is tried again, how often, and when it is given up."""

from __future__ import annotations

import asyncio

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.stack.shop.upstream import Call, Reply, Retries, Upstream, UpstreamFailed

CALL = Call("GET", "/catalog")


class Scripted:
    """Answers in turn with replies or exceptions and keeps which tries asked for a fresh connection."""

    def __init__(self, *answers: Reply | Exception) -> None:
        self.answers = list(answers)
        self.fresh: list[bool] = []

    async def send(self, call: Call, *, fresh: bool) -> Reply:
        assert call is CALL
        self.fresh.append(fresh)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Hanging:
    async def send(self, call: Call, *, fresh: bool) -> Reply:
        raise AssertionError(await asyncio.Event().wait())


async def at_once(_seconds: float) -> None:
    return None


def upstream(sender: Scripted | Hanging, outcomes: list[str], *, attempt: float = 5, call: float = 5) -> Upstream:
    return Upstream(sender, Retries(2, attempt, call, 0.1, sleep=at_once), outcomes.append)


def test_an_answer_is_given_as_it_came_also_when_it_is_a_refusal() -> None:
    sender, outcomes = Scripted(Reply(404, b"{}")), list[str]()

    assert asyncio.run(upstream(sender, outcomes).call(CALL)).status == 404
    assert (sender.fresh, outcomes) == ([False], ["answered"])


@pytest.mark.parametrize("failure", [httpcore.ConnectError(), httpcore.ReadTimeout(), Reply(503, b"")])
def test_a_failed_try_is_repeated_on_a_connection_of_its_own(failure: Reply | Exception) -> None:
    sender, outcomes = Scripted(failure, Reply(200, b"{}")), list[str]()

    assert asyncio.run(upstream(sender, outcomes).call(CALL)).status == 200
    assert (sender.fresh, outcomes) == ([False, True], ["failed", "answered"])


def test_three_failures_are_the_end() -> None:
    sender = Scripted(*[httpcore.ConnectTimeout()] * 3)

    with pytest.raises(UpstreamFailed, match="GET /catalog: 3 tries failed, last: ConnectTimeout"):
        asyncio.run(upstream(sender, []).call(CALL))
    assert sender.answers == []


def test_no_answer_at_all_ends_with_the_call_s_deadline() -> None:
    outcomes: list[str] = []

    with pytest.raises(UpstreamFailed, match=r"no answer from the back within 0\.01 s"):
        asyncio.run(upstream(Hanging(), outcomes, call=0.01).call(CALL))
    assert outcomes == ["deadline"]


def test_a_try_that_hangs_leaves_time_for_the_next() -> None:
    outcomes: list[str] = []

    with pytest.raises(UpstreamFailed, match="3 tries failed, last: TimeoutError"):
        asyncio.run(upstream(Hanging(), outcomes, attempt=0.01).call(CALL))
    assert outcomes == ["failed"] * 3


@given(st.floats(0, 1), st.integers(0, 5), st.floats(0.001, 10))
def test_a_pause_lies_between_nothing_and_its_doubling_bound(drawn: float, attempt: int, jitter: float) -> None:
    pause = Retries(2, 1, 2, jitter, draw=lambda: drawn).pause(attempt)

    assert 0 <= pause <= jitter * 2**attempt
