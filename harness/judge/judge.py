"""From a timeline to verdicts: each claim verified, then weighed against what it rests on. A pure function of the record."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.judge.cluster_autoscaler import ClusterAutoscalerScaleUp
from harness.judge.failover import KilledPodsReplaced, ZoneOutageSurvived
from harness.judge.faults import FaultsInjected
from harness.judge.hpa import HpaScaleOut
from harness.judge.load import LoadDelivered, MachineNotSaturated, Trouble, load_troubles, saturated_spans
from harness.judge.record import blindness, interrupted, load_window, recorded_until
from harness.judge.safety import EverythingRestored, RunComplete
from harness.judge.slo import Slo
from harness.judge.telemetry import EvidenceComplete
from harness.judge.verifier import Verifier
from harness.model.plan import Plan
from harness.model.timeline import Timeline, Window
from harness.model.verdict import Measure, Outcome, Verdict

# In the order of the report's table: the stack's own claims, then what they rest on.
VERIFIERS: Mapping[str, type[Verifier]] = {
    "slo": Slo,
    "hpa_scales_out": HpaScaleOut,
    "cluster_autoscaler_adds_nodes": ClusterAutoscalerScaleUp,
    "pods_replaced": KilledPodsReplaced,
    "zone_survived": ZoneOutageSurvived,
    "load_delivered": LoadDelivered,
    "machine_not_saturated": MachineNotSaturated,
    "faults_injected": FaultsInjected,
    "evidence_complete": EvidenceComplete,
    "everything_restored": EverythingRestored,
    "run_complete": RunComplete,
}
# What the others rest on, and so rests on nothing itself.
_GROUND = frozenset(list(VERIFIERS)[list(VERIFIERS).index("load_delivered") :])


def verifiers(plan: Plan) -> tuple[Verifier, ...]:
    """Every verifier that *plan* asks for, and those that always run."""
    return tuple(one for kind in VERIFIERS.values() for one in kind.of(plan))


def judge(timeline: Timeline) -> tuple[Verdict, ...]:
    """All verdicts on *timeline*, in the order of VERIFIERS; the same record always gives the same ones."""
    asked = verifiers(timeline.plan)
    found = [_verified(one, timeline) for one in asked]
    ground = _Ground.of(timeline, found)
    return tuple(_weighed(one, verdict, ground) for one, verdict in zip(asked, found, strict=True))


def overall(verdicts: Iterable[Verdict]) -> Outcome:
    """The worst outcome of all: fail, then inconclusive, then pass."""
    return Outcome.worst(verdict.outcome for verdict in verdicts)


def _verified(verifier: Verifier, timeline: Timeline) -> Verdict:
    """The verifier's own word, unless it broke or a source that it needs was blind."""
    try:
        verdict = verifier.verify(timeline)
    except Exception as error:  # noqa: BLE001 - a verifier that breaks proves nothing, and must not hide the others
        because = f"the verifier broke: {type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error)).replace("\\", "/").splitlines()
        hint = "report this with the run folder; the other verdicts stand"
        return Verdict(
            verifier.claim, verifier.subject, Outcome.INCONCLUSIVE, because, (), hint, None, _portable(trace)
        )
    window = _evidence_window(verdict, timeline)
    blind = [said for source in verifier.needs if (said := blindness(timeline, source, window)) is not None]
    if not blind:
        return verdict
    # A load of which nothing is heard for a while was starved, and its own sentence says of what.
    leads = verifier.claim != LoadDelivered.claim
    return _demoted(verdict, blind, "see logs/ for the collector, and whether its source was killed", leads=leads)


def _portable(trace: Sequence[str]) -> tuple[str, ...]:
    """A traceback whose paths begin at the package, so that it reads the same wherever the record is judged."""
    return tuple(
        line[: line.find('"') + 1] + line[line.rfind("/harness/") + 1 :] if "/harness/" in line else line
        for line in trace
    )


def _evidence_window(verdict: Verdict, timeline: Timeline) -> Window:
    """Where the evidence of *verdict* lies; the whole load where it does not say."""
    if verdict.window is not None:
        return Window(*verdict.window)
    return load_window(timeline) or Window(0.0, recorded_until(timeline))


def _demoted(verdict: Verdict, reasons: Sequence[str], hint: str, *, leads: bool = True) -> Verdict:
    """
    *verdict* as inconclusive for *reasons*, its own sentence kept.

    What is inconclusive already gains evidence; and where the first of *reasons* *leads* it is said first, for its own
    is most likely an effect: who reads "only 30 requests" should not ask for more users when the run was interrupted.
    """
    if verdict.outcome is Outcome.INCONCLUSIVE:
        evidence = (*verdict.evidence, *(reason for reason in reasons if reason not in verdict.evidence))
        if not leads or reasons[0] in verdict.because:
            return replace(verdict, evidence=evidence)
        return replace(verdict, because=f"{reasons[0]}, and {verdict.because}", hint=hint, evidence=evidence)
    because = f"{'; '.join(reasons)} (else {verdict.outcome}: {verdict.because})"
    return replace(verdict, outcome=Outcome.INCONCLUSIVE, because=because, hint=hint)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What verdicts rest on, worked out once."""

    timeline: Timeline
    load: Verdict | None
    troubles: tuple[Trouble, ...]
    saturated: tuple[Window, ...]
    machine: Verdict | None
    faults: Mapping[str, Verdict]
    cut: str | None

    @classmethod
    def of(cls, timeline: Timeline, found: Sequence[Verdict]) -> _Ground:
        by_claim = {verdict.claim: verdict for verdict in found}
        return cls(
            timeline,
            by_claim.get("load_delivered"),
            tuple(load_troubles(timeline)),
            tuple(saturated_spans(timeline)),
            by_claim.get("machine_not_saturated"),
            {verdict.subject: verdict for verdict in found if verdict.claim == "faults_injected"},
            interrupted(timeline),
        )


def _weighed(verifier: Verifier, verdict: Verdict, ground: _Ground) -> Verdict:
    """*verdict*, or inconclusive where what it rests on did not hold in its window; never better than it was."""
    window = _evidence_window(verdict, ground.timeline)
    if verdict.claim in _GROUND:
        cut = list(_cut_short(verdict, window, ground)) if verdict.outcome is Outcome.INCONCLUSIVE else []
        return _demoted(verdict, cut, "run it again; see logs/") if cut else verdict
    reasons = [*_cut_short(verdict, window, ground), *_load_reasons(verifier, verdict, window, ground)]
    reasons += _machine_reasons(verifier, window, ground)
    if verdict.outcome is Outcome.PASS:  # what failed even without the fault stands
        reasons += _fault_reasons(verifier, ground)
    return _demoted(verdict, reasons, "mend what is named here and run again") if reasons else verdict


def _cut_short(verdict: Verdict, window: Window, ground: _Ground) -> Iterator[str]:
    if ground.cut is not None and (verdict.window is None or window.end >= recorded_until(ground.timeline)):
        yield ground.cut


def _load_reasons(verifier: Verifier, verdict: Verdict, window: Window, ground: _Ground) -> Iterator[str]:
    if "load" not in verifier.rests_on or ground.load is None or ground.load.outcome is Outcome.PASS:
        return
    if not ground.troubles:
        yield f"load_delivered is {ground.load.outcome}: {ground.load.because}"
    for trouble in ground.troubles:
        if not _overlap(trouble.window, window):
            continue
        # Where the stack itself was too slow to take the load, a failure stands: less load would only have helped it.
        if verdict.outcome is Outcome.FAIL and not trouble.own and not verifier.less_load_excuses:
            continue
        yield trouble.because


def _machine_reasons(verifier: Verifier, window: Window, ground: _Ground) -> Iterator[str]:
    if "machine" not in verifier.rests_on:
        return
    spans = [span for span in ground.saturated if _overlap(span, window)]
    if spans:
        seconds = sum(span.seconds for span in spans)
        yield f"this machine itself was saturated for {seconds:.0f} s of it"
    elif ground.machine is not None and not ground.saturated and ground.machine.outcome is not Outcome.PASS:
        yield f"machine_not_saturated is {ground.machine.outcome}: {ground.machine.because}"


def _fault_reasons(verifier: Verifier, ground: _Ground) -> Iterator[str]:
    for name in verifier.faults:
        injected = ground.faults.get(name)
        if injected is None or injected.outcome is not Outcome.PASS:
            yield f"the fault is not proved: {injected.because if injected else name + ' is not in the plan'}"


def _overlap(one: Window, other: Window) -> bool:
    """Whether two windows share time; what only touches does not, but a moment lies in the window that holds it."""
    if one.seconds == 0 or other.seconds == 0:
        return one.start <= other.end and other.start <= one.end
    return one.start < other.end and other.start < one.end


def verdicts_to_json(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as text: the same ones give the same bytes, for nothing in it tells when or where it was judged."""
    document = {"outcome": str(overall(verdicts)), "verdicts": [_plain(verdict) for verdict in verdicts]}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def verdicts_from_json(text: str) -> tuple[Verdict, ...]:
    """What `verdicts_to_json` wrote."""
    return tuple(_verdict(item) for item in json.loads(text)["verdicts"])


def _plain(value: Any) -> Any:
    """Plain JSON data with rounded numbers; what is not a finite number is said in words."""
    if isinstance(value, Verdict | Measure):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else str(value)
    return value


def _verdict(item: Mapping[str, Any]) -> Verdict:
    window = item["window"]
    return Verdict(
        claim=item["claim"],
        subject=item["subject"],
        outcome=Outcome(item["outcome"]),
        because=item["because"],
        measures=tuple(Measure(**measure) for measure in item["measures"]),
        hint=item["hint"],
        window=None if window is None else (window[0], window[1]),
        evidence=tuple(item["evidence"]),
    )
