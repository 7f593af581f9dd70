"""Waiting for what is missing, with a deadline."""

from __future__ import annotations

from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

POLL = 0.5


def _last(state: RetryCallState) -> list[str]:
    outcome = state.outcome
    return list(outcome.result()) if outcome is not None else []


def still_missing(missing: Callable[[], list[str]], within: float) -> list[str]:
    """Empty as soon as *missing* says so; what it says still after *within* seconds."""
    patient = Retrying(
        stop=stop_after_delay(within), wait=wait_fixed(POLL), retry=retry_if_result(bool), retry_error_callback=_last
    )
    return patient(missing)
