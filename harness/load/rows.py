"""One request as Locust tells it, as one row of the record. Imports no locust."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_ERROR = 200


@dataclass(frozen=True, slots=True)
class Headers:
    """In which header an answer names its zone and its pod; None: it does not."""

    zone: str | None = None
    pod: str | None = None


def request_row(said: Mapping[str, Any], headers: Headers) -> tuple[Any, ...]:
    """
    The arguments of Locust's `request` event as a row in the order of `rundir.REQUEST_SCHEMA`.

    Works for any client that reports to Locust; what a client does not tell is empty, *intended* NaN.
    """
    context = said.get("context") or {}
    response = said.get("response")
    answer = getattr(response, "headers", None)
    status = getattr(response, "status_code", 0)
    start = float(said["start_time"])
    return (
        _intended(context, start),
        start,
        float(said["response_time"] or 0.0) / 1000,
        str(said["name"]),
        str(said["request_type"]),
        status if isinstance(status, int) else 0,
        describe(said.get("exception"), status),
        int(said.get("response_length") or 0),
        _header(answer, headers.zone),
        _header(answer, headers.pod),
        str(context.get("request_id") or _sent_id(response) or _header(answer, "x-request-id")),
    )


def _intended(context: Mapping[str, Any], start: float) -> float:
    """When the request was wanted: NaN if the client has no schedule, its start if it follows from another's answer."""
    if "intended" not in context:
        return math.nan
    intended = context["intended"]
    # A timer may wake a user a fraction of a millisecond early; nothing starts before it is wanted.
    return start if intended is None else min(float(intended), start)


def describe(exception: object, status: object) -> str:
    """
    Why a request was bad, empty when it was good.

    The same cause gives the same text, without addresses of objects or ids, so that reports can count causes.
    """
    if exception is None or exception == "":
        return ""
    if not isinstance(exception, BaseException):
        return str(exception)[:LONGEST_ERROR]
    kind = type(exception).__name__
    if kind in ("LocustBadStatusCode", "HTTPError") and status:
        return f"HTTP {status}"
    if kind == "CatchResponseError":
        return str(exception)[:LONGEST_ERROR]
    return f"{kind}: {exception}"[:LONGEST_ERROR]


def _header(answer: Any, name: str | None) -> str:
    if not answer or name is None:
        return ""
    return str(answer.get(name) or "")


def _sent_id(response: Any) -> str:
    """The request id that was sent, where the client keeps what it sent."""
    sent = getattr(getattr(response, "request", None), "headers", None)
    return _header(sent, "x-request-id")
