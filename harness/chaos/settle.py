"""Reading until what was read is enough: every API shows a change a while after it was made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

Value = TypeVar("Value")


def settle(read: Callable[[], Value], enough: Callable[[Value], bool], within: float) -> Value:
    """What *read* gives once it is *enough*, or what it gave last when *within* seconds are over."""
    last: list[Value] = []

    def attempt() -> bool:
        last[:] = [read()]
        return enough(last[0])

    def give_up(_: RetryCallState) -> bool:
        return False

    retrying = Retrying(
        stop=stop_after_delay(within),
        wait=wait_fixed(0.3),
        retry=retry_if_result(lambda settled: not settled),
        retry_error_callback=give_up,
    )
    retrying(attempt)
    return last[0]
