"""What the record itself says about how far it reaches and where it is blind."""

from __future__ import annotations

import itertools

from harness.model.timeline import Timeline, Window

# How long a source may be blind inside a claim's window (seconds): above its ordinary rhythm, below what would matter.
BLIND = {"kubernetes": 10.0, "prometheus": 30.0, "autoscaling": 15.0, "machine": 10.0, "load": 5.0}
_AFTERMATH = frozenset({"watchdog", "undo", "chaos", "load"})  # these may still write when the runner is gone


def interrupted(timeline: Timeline) -> str | None:
    """Why the run did not come to its own end; None when it did."""
    until = recorded_until(timeline)
    cut = timeline.last("run.interrupted")
    if cut is not None:
        return f"the run was interrupted after {until:.0f} s: {cut.value.get('reason') or 'no reason recorded'}"
    if timeline.first("run.ended") is None:
        return f"the run was interrupted: its record stops {until:.0f} s after its start, without an end"
    return None


def recorded_until(timeline: Timeline) -> float:
    """Up to when the runner was recording, in seconds since the run's start; the watchdog tells of its death later."""
    ends = [event for event in timeline.events if event.kind in ("run.ended", "run.interrupted")]
    own = [event.at for event in ends if event.source not in _AFTERMATH]
    if own:
        return own[-1]
    return max((event.at for event in timeline.events if event.source not in _AFTERMATH), default=0.0)


def load_window(timeline: Timeline) -> Window | None:
    """From the load's first stage to its end, or to the record's; None when it never began."""
    began = timeline.first("load.stage")
    if began is None:
        return None
    ended = timeline.first("load.ended")
    until = ended.at if ended is not None else recorded_until(timeline)
    return Window(began.at, until) if until > began.at else None


def blindness(timeline: Timeline, source: str, window: Window) -> str | None:
    """Why *source* does not tell what happened in *window*; None when it does."""
    seconds = _blind_seconds(timeline, source, window)
    if seconds is None:
        return f"there is no evidence from {source}: it never recorded anything"
    bound = BLIND[source]
    if seconds > bound:
        said = f"{seconds:.0f}" if round(seconds) > bound else f"{seconds:.1f}"
        return f"{source} was blind for {said} s of {window.start:.0f} to {window.end:.0f} s (at most {bound:.0f} s)"
    return None


def _blind_seconds(timeline: Timeline, source: str, window: Window) -> float | None:
    """How long *source* saw nothing in *window*; None when it never began to look."""
    names = _collectors(timeline, source)
    if not names and source != "load":
        return None
    blind = max((max(timeline.lost(name, window), _stopped(timeline, name, window)) for name in names), default=0.0)
    times = _sample_times(timeline, source)
    if source in ("load", "machine", "prometheus"):
        if not times:
            return None
        blind = max(blind, _longest_gap(times, _recording(timeline, source, window)))
    return blind


def _collectors(timeline: Timeline, source: str) -> list[str]:
    """The collectors of *source* that began to look: `kubernetes`, or several named `kubernetes/pods`."""
    names = {event.subject for event in timeline.of("observe.started")}
    return sorted(name for name in names if name == source or name.startswith(f"{source}/"))


def _stopped(timeline: Timeline, name: str, window: Window) -> float:
    stopped = timeline.last("observe.stopped", name)
    return 0.0 if stopped is None else max(0.0, window.end - max(window.start, stopped.at))


def _sample_times(timeline: Timeline, source: str) -> list[float]:
    def belongs(metric: str) -> bool:
        own = metric.partition(".")[0]
        return own == source if own in ("load", "machine") else source == "prometheus"

    return sorted({time for series in timeline.series if belongs(series.metric) for time in series.times})


def _recording(timeline: Timeline, source: str, window: Window) -> Window:
    """The part of *window* in which *source* is expected to tell: the load only tells while it runs."""
    if source != "load":
        return window
    load = load_window(timeline)
    if load is None:
        return window
    return Window(max(window.start, load.start), max(window.start, min(window.end, load.end)))


def _longest_gap(times: list[float], window: Window) -> float:
    within = [time for time in times if time in window]
    edges = [window.start, *within, window.end]
    return max(after - before for before, after in itertools.pairwise(edges))
