"""Writes a timeline made by hand as the run folder that a run would have left."""

from __future__ import annotations

from pathlib import Path

from harness.model.timeline import Timeline
from harness.planfile import dump_plan
from harness.rundir import RunDir

ZERO = 1_790_000_000.0  # Unix seconds of the run's start


def write_run(timeline: Timeline, path: Path) -> RunDir:
    """The run folder at *path*, which must not exist yet."""
    run = RunDir(path)
    run.make()
    run.write_json(run.plan, dump_plan(timeline.plan))
    run.write_json(run.environment, {"run": path.name, "started": ZERO})
    run.write_json(run.journal, dict(timeline.journals))
    for event in timeline.events:
        stamp = None if event.stamp is None else ZERO + event.stamp
        run.append_event(event.source, event.kind, event.subject, event.value, at=ZERO + event.at, stamp=stamp)
    for entry in timeline.undo:
        run.append_line(run.undo, entry)
    writer = run.series_writer("all")
    for series in timeline.series:
        for at, value in zip(series.times, series.values, strict=True):
            writer.add(series.metric, series.labels, ZERO + at, value)
    writer.flush()
    _write_requests(run, timeline)
    return run


def _write_requests(run: RunDir, timeline: Timeline) -> None:
    requests = timeline.requests
    writer = run.request_writer()
    for index in range(len(requests)):
        intended, start = ZERO + float(requests.intended[index]), ZERO + float(requests.start[index])
        said = (str(requests.name[index]), "GET", int(requests.status[index]), str(requests.error[index]), 0)
        who = (str(requests.zone[index]), str(requests.pod[index]), str(requests.request_id[index]))
        writer.append((intended, start, float(requests.latency[index]), *said, *who))
    writer.flush()
