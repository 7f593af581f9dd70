"""Whether the evidence is whole."""

from harness.model.timeline import Event
from harness.model.verdict import Outcome

CLAIM = "evidence_complete"


def test_every_source_that_the_plan_needs_is_named(story):
    assert story.verdict(CLAIM).because.startswith("autoscaling, kubernetes, load, machine, prometheus: none blind")


def test_a_killed_prometheus_is_named_and_makes_only_what_needs_it_inconclusive(story):
    killed = story.plus(Event(100, "prometheus", "observe.lost", "prometheus", {"error": "connection refused"}))
    killed = killed.series("container_cpu_usage_seconds_total", lambda t, v: v if t < 60 else float("nan"))
    verdicts = killed.verdicts()

    assert "prometheus was blind" in verdicts[CLAIM].because
    assert verdicts["hpa_scales_out: shop/front (spike)"].outcome is Outcome.INCONCLUSIVE
    assert verdicts["pods_replaced: kill-pods"].outcome is Outcome.PASS


def test_a_short_loss_is_no_loss(story):
    blinked = story.plus(
        Event(100, "kubernetes", "observe.lost", "kubernetes"),
        Event(104, "kubernetes", "observe.resumed", "kubernetes"),
    )

    assert blinked.verdict(CLAIM).outcome is Outcome.PASS


def test_a_plan_that_needs_no_prometheus_does_not_miss_it(story):
    modest = story.planned(expectations=()).without_source("prometheus")

    assert modest.verdict(CLAIM).outcome is Outcome.PASS
