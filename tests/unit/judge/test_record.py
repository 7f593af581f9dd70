"""Windows, gaps, histories and rates: the arithmetic beneath the verdicts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge.histories import histories, is_ready
from harness.judge.hpa import _increase
from harness.judge.record import blindness
from harness.judge.traffic import Traffic, good_rate_returns
from harness.model.plan import Load, Plan
from harness.model.timeline import Event, Requests, Series, Timeline, Window

EMPTY = Plan("p", "t", 0, Load("x", ()), (), (), ())


@given(st.lists(st.floats(0, 100), max_size=20, unique=True), st.floats(0, 50), st.floats(51, 100))
def test_the_longest_gap_is_the_longest_stretch_without_a_sample(times, start, end):
    times = tuple(sorted(times))
    window = Window(start, end)
    gap = Series("m", {}, times, times).longest_gap(window)
    inside = [t for t in times if t in window]

    assert 0 <= gap <= window.seconds
    assert gap * (len(inside) + 1) >= window.seconds - 1e-9
    if not inside:
        assert gap == window.seconds


def test_a_source_is_judged_by_its_own_samples(story):
    half = story.series("machine.cpu_busy", lambda t, v: math.nan if 100 < t < 130 else v)
    half = half.series("machine.cpu_pressure", lambda t, v: math.nan if 100 < t < 130 else v)

    assert blindness(half.timeline, "machine", Window(10, 90)) is None
    assert "machine was blind for 30 s" in blindness(half.timeline, "machine", Window(10, 345))


def test_several_collectors_of_a_source_count_as_it_and_the_blindest_decides():
    events = [Event(0, f"kubernetes/{name}", "observe.started", f"kubernetes/{name}") for name in ("pods", "nodes")]
    events.append(Event(10, "kubernetes/nodes", "observe.lost", "kubernetes/nodes"))
    timeline = Timeline(EMPTY, {}, tuple(events), (), Requests())

    assert blindness(timeline, "kubernetes", Window(0, 15)) is None
    assert "blind for 30 s" in blindness(timeline, "kubernetes", Window(0, 40))


def pod(at, change, uid, *, ready=False):
    return Event(at, "kubernetes", f"pod.{change}", "shop/db-0", {"uid": uid, "ready": ready})


def test_each_life_of_a_name_has_its_own_history():
    events = (
        pod(1, "added", "u1", ready=True),
        pod(5, "deleted", "u1"),
        pod(6, "added", "u2"),
        pod(9, "changed", "u2", ready=True),
    )
    first, second = histories(Timeline(EMPTY, {}, events, (), Requests()), "pod")

    assert (first.gone(2), second.gone(7)) == (5, None)
    assert first.at(5) is None
    assert second.when(is_ready, 6) == 9
    assert second.born == 6


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_a_counter_never_grows_by_less_than_nothing_and_a_restart_counts_from_zero(steps):
    values = tuple(np.cumsum(steps))
    assert _increase(values) == pytest.approx(values[-1] - values[0])
    assert _increase((*values, 3.0)) >= 0


def traffic(good):
    start = np.arange(len(good)) * 0.1
    errors = np.where(good, "", "no").astype(object)
    blank = np.full(len(good), "", dtype=object)
    requests = Requests(
        np.full(len(good), np.nan),
        start,
        np.zeros(len(good)),
        blank,
        np.full(len(good), 200),
        errors,
        blank,
        blank,
        blank,
    )
    return Traffic.of(Timeline(EMPTY, {}, (), (), requests))


@given(st.lists(st.booleans(), min_size=30, max_size=200))
def test_the_good_rate_is_back_at_the_first_whole_span_that_is_good_enough(good):
    window = Window(0.0, float(len(good) // 10))
    back = good_rate_returns(traffic(np.array(good)), window, 0.8, 3)

    def share(first):
        return sum(good[first * 10 : first * 10 + 30]) / 30

    firsts = [first for first in range(int(window.end) - 2) if share(first) >= 0.8]
    assert back == (float(firsts[0]) if firsts else None)


def test_seconds_without_requests_are_not_good():
    quiet = traffic(np.ones(20, dtype=bool))

    assert good_rate_returns(quiet, Window(0, 30), 0.9, 10) is None
