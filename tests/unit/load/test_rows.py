"""A request as Locust tells it becomes the row that the record promises."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from harness.load.rows import Headers, describe, request_row
from harness.rundir import REQUEST_SCHEMA

HEADERS = Headers("x-zone", "x-pod")


def row(**said):
    given = {
        "request_type": "GET",
        "name": "page",
        "response_time": 12.5,
        "response_length": 3,
        "start_time": 100.0,
        **said,
    }
    return dict(zip(REQUEST_SCHEMA.names, request_row(given, HEADERS), strict=True))


def answer(status=200, **headers):
    return SimpleNamespace(
        status_code=status, headers=headers, request=SimpleNamespace(headers={"x-request-id": "sent"})
    )


def test_a_good_answer_is_told_in_full():
    got = row(response=answer(**{"x-zone": "a", "x-pod": "p"}), context={"intended": 99.5, "request_id": "mine"})
    assert got == {
        "intended": 99.5,
        "start": 100.0,
        "latency": 0.0125,
        "name": "page",
        "method": "GET",
        "status": 200,
        "error": "",
        "bytes": 3,
        "zone": "a",
        "pod": "p",
        "request_id": "mine",
    }


def test_no_answer_has_status_zero_and_says_why():
    got = row(
        response=SimpleNamespace(status_code=0, headers=None, request=None), exception=ConnectionRefusedError(111, "no")
    )
    assert (got["status"], got["zone"], got["pod"]) == (0, "", "")
    assert got["error"] == "ConnectionRefusedError: [Errno 111] no"


def test_a_client_without_http_is_recorded_too():
    got = row(response=None, response_time=None, exception=None)
    assert (got["status"], got["latency"], got["request_id"]) == (0, 0.0, "")


def test_intended_is_nan_without_a_schedule_and_the_start_for_a_journeys_later_steps():
    assert math.isnan(row(response=answer())["intended"])
    assert row(response=answer(), context={"intended": None})["intended"] == 100.0


def test_a_request_never_starts_before_it_is_wanted():
    assert row(response=answer(), context={"intended": 100.0002})["intended"] == 100.0


def test_the_id_sent_is_found_when_the_profile_does_not_tell_it():
    assert row(response=answer())["request_id"] == "sent"


class LocustBadStatusCode(Exception):
    pass


class CatchResponseError(Exception):
    pass


@pytest.mark.parametrize(
    ("exception", "status", "said"),
    [
        (None, 200, ""),
        (LocustBadStatusCode("url http://…, code 503"), 503, "HTTP 503"),
        (CatchResponseError("no token"), 200, "no token"),
        (TimeoutError("timed out"), 0, "TimeoutError: timed out"),
        ("words", 0, "words"),
    ],
)
def test_one_cause_has_one_text(exception, status, said):
    assert describe(exception, status) == said
