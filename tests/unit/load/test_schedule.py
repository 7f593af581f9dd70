"""Stages and schedules: arithmetic that must hold whatever the service does."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.schedule import Ledger, Pace, dump_stages, parse_stages, users_at
from harness.model.plan import Stage

STAGES = (Stage("calm", 10, 10, 5), Stage("spike", 10, 110, 50), Stage("calm again", 10, 10, 50))


def test_stages_survive_the_journey_to_the_load_process():
    assert parse_stages(dump_stages(STAGES)) == STAGES


@pytest.mark.parametrize("text", ["[]", '[{"name": "a", "seconds": 0, "users": 1}]'])
def test_stages_that_cannot_be_run_are_refused(text):
    with pytest.raises(ValueError, match="stages need"):
        parse_stages(text)


@pytest.mark.parametrize(
    ("elapsed", "users"),
    [(0, 0), (1, 5), (2, 10), (9.9, 10), (10, 10), (11, 60), (12, 110), (19, 110), (21, 60), (29.9, 10), (30, None)],
)
def test_users_ramp_to_each_stages_number_and_end_with_the_last(elapsed, users):
    assert users_at(STAGES, elapsed) == users


def test_a_ramp_longer_than_its_stage_goes_on_from_where_it_stood():
    stages = (Stage("a", 10, 100, 1), Stage("b", 10, 0, 1))
    assert [users_at(stages, t) for t in (5, 10, 15)] == [5, 10, 5]


stage_lists = st.lists(
    st.builds(Stage, st.just("s"), st.floats(0.5, 100), st.integers(0, 500), st.floats(0.1, 100)),
    min_size=1,
    max_size=5,
)


@given(stage_lists, st.floats(0, 600))
def test_users_never_exceed_the_largest_stage(stages, elapsed):
    users = users_at(stages, elapsed)
    if users is None:
        assert elapsed >= sum(stage.seconds for stage in stages) - 1e-6
    else:
        assert 0 <= users <= max(stage.users for stage in stages)


paces = st.builds(Pace.joining, st.floats(0, 1000), st.floats(0.1, 30), st.floats(0, 30))


@given(st.floats(0, 1000), st.floats(0.1, 30), st.floats(0, 30))
def test_a_user_waits_for_its_first_journey_no_longer_than_one_period(now, every, offset):
    first = Pace.joining(now, every, offset).first
    assert now <= first <= now + every + 1e-6


@given(paces, st.lists(st.floats(0, 60), min_size=1, max_size=40))
def test_offered_is_started_plus_dropped_plus_owed(pace, busy_for):
    now = pace.first
    for seconds in busy_for:
        due = pace.next(now)
        assert due.busy == (due.wait == 0)
        now += due.wait
        pace.begin()
        now += seconds
        assert pace.offered(now) <= pace.started + pace.dropped + pace.backlog(now)
        assert pace.started + pace.dropped <= pace.offered(now) + 1  # a rounding error at a grid point at most
    pace.leave(now)
    assert pace.backlog(now) == 0
    assert pace.offered(now + 1000) == pace.offered(now)


@given(st.floats(0.1, 30), st.lists(st.floats(0, 0.09), min_size=5, max_size=50))
def test_a_service_that_keeps_up_gets_every_journey_on_time(every, busy_for):
    pace, now = Pace(every, first=0.0), 0.0
    for index, seconds in enumerate(busy_for):
        due = pace.next(now)
        assert due.intended == pytest.approx(index * every)
        assert due.dropped == 0
        now = max(now, due.intended)
        pace.begin()
        now += seconds


def test_a_stall_is_caught_up_journey_by_journey_and_nothing_is_lost():
    pace = Pace(1.0, first=0.0)
    pace.next(0.0)
    pace.begin()
    intended = []
    for _ in range(5):  # free again at 5.5, each journey then takes no time
        due = pace.next(5.5)
        assert due.busy
        intended.append(due.intended)
        pace.begin()
    assert intended == [1, 2, 3, 4, 5]
    assert pace.next(5.5).wait == pytest.approx(0.5)
    assert pace.dropped == 0


def test_more_than_the_bound_owed_is_dropped_oldest_first_and_counted():
    pace = Pace(1.0, first=0.0, backlog_limit=3)
    due = pace.next(9.5)  # 0 … 9 are due: ten
    assert (due.dropped, due.intended) == (7, 7)
    assert pace.offered(9.5) == pace.started + pace.dropped + pace.backlog(9.5)


def test_lateness_is_put_down_to_who_caused_it():
    ledger = Ledger()
    pace = ledger.join(0.0, 1.0)
    idle = pace.next(pace.first - 0.5)
    ledger.began(idle, idle.intended + 0.02)
    pace.begin()
    owed = pace.next(idle.intended + 3.0)
    ledger.began(owed, idle.intended + 3.0)
    tally = ledger.tally(10.0)
    assert tally.late == pytest.approx(0.02)
    assert tally.behind == pytest.approx(2.0)
    assert ledger.tally(10.0).late == 0.0


def test_a_ledger_keeps_the_totals_of_users_that_went():
    ledger = Ledger()
    going, staying = ledger.join(0.0, 1.0), ledger.join(0.0, 1.0)
    going.begin()
    ledger.leave(going, 10.0)
    ledger.leave(going, 20.0)
    tally = ledger.tally(20.0)
    assert tally.offered == going.offered(10.0) + staying.offered(20.0)
    assert tally.dropped == going.offered(10.0) - 1


@given(st.integers(0, 1000), st.integers(10, 200))
def test_users_offsets_are_spread_so_that_arrivals_never_bunch(seed, users):
    ledger = Ledger(seed=seed)
    firsts = sorted(ledger.join(0.0, 5.0).first % 5.0 for _ in range(users))
    gaps = [after - before for before, after in zip(firsts, [*firsts[1:], firsts[0] + 5.0], strict=True)]
    assert (
        max(gaps) <= 3 * 5.0 / users
    )  # three-gap theorem: no gap of a golden-ratio sequence is much longer than the mean


def test_the_same_seed_gives_the_same_schedule():
    def firsts(seed: int) -> list[float]:
        ledger = Ledger(seed=seed)
        return [ledger.join(0.0, 5.0).first for _ in range(5)]

    assert firsts(3) == firsts(3) != firsts(4)
    assert not any(math.isnan(first) for first in firsts(3))
