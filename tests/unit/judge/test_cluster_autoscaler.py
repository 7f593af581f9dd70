"""The Cluster Autoscaler's chain, broken at each link."""

from harness.model.timeline import Event
from harness.model.verdict import Outcome

CLAIM = "cluster_autoscaler_adds_nodes"


def failed(story, said, hint):
    verdict = story.verdict(CLAIM)
    assert verdict.outcome is Outcome.FAIL
    assert said in verdict.because
    assert hint in verdict.hint


def test_each_link_is_timed_from_the_first_pod_that_did_not_fit(story):
    verdict = story.verdict(CLAIM)

    assert verdict.outcome is Outcome.PASS
    assert [measure.value for measure in verdict.measures] == [7, 20, 30]
    assert verdict.window == (75, 105)


def test_pods_that_all_fit_call_for_no_node(story):
    verdict = story.changed("pod.", unschedulable="").verdict(CLAIM)

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "fitted" in verdict.because


def dead(story):
    """As if the autoscaler did nothing: no group raised, no node, pods stay Pending."""
    return story.without(
        lambda e: (
            (e.kind == "group.changed" and e.at == 82)
            or e.subject == "node-a2"
            or (e.subject in ("shop/front-abc-5", "shop/front-abc-6") and e.at == 105)
        )
    )


def test_a_dead_autoscaler_fails(story):
    failed(dead(story), "no group was raised within 90 s", "is the Cluster Autoscaler running?")
    failed(dead(story), "still without a node then: shop/front-abc-5 and 1 more", "")


def test_what_the_autoscaler_said_is_quoted(story):
    value = {"reason": "NotTriggerScaleUp", "message": "pod didn't trigger scale-up: 1 max node group size reached"}
    event = Event(90, "kubernetes", "kubernetes.event", "shop/front-abc-5", value)

    failed(dead(story).plus(event), "max node group size reached", "")


def test_groups_at_their_maximum_are_named_as_the_reason(story):
    failed(dead(story).changed("group.", desired=3), "all 3 groups are at their maximum", "raise the groups")


def test_a_node_that_never_joins_fails(story):
    failed(story.without(lambda e: e.subject == "node-a2"), "no new node was ready", "scaling activities")


def test_a_node_without_the_pod_on_it_fails(story):
    alone = story.without(lambda e: e.at == 105 and e.kind == "pod.changed")
    failed(alone, "node node-a2 was ready, but no pod", "image pull")


def test_a_chain_slower_than_the_bound_fails(story):
    slow = story.planned(
        expectations=(type(story.timeline.plan.expectations[1])(CLAIM, {"stage": "spike", "within": 25.0}),)
    )
    failed(slow, "but no pod that had not fitted was ready on it within 25 s", "")


def test_a_group_that_changed_without_growing_was_not_raised(story):
    value = {"desired": 1, "min": 1, "max": 3, "instances": [{"id": "i-1", "lifecycle": "InService"}]}
    verdict = story.plus(Event(78, "autoscaling", "group.changed", "workers-us-east-1a", value)).verdict(CLAIM)

    assert verdict.measures[0].value == 7
