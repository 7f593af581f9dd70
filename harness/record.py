"""Reading a run folder back: one Timeline, in seconds since the run's start. Needs no cluster, no root, no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.model.errors import HarnessError
from harness.model.timeline import Event, Requests, Series, Timeline
from harness.planfile import parse_plan
from harness.rundir import RunDir, read_lines

REQUEST_COLUMNS = ("intended", "start", "latency", "name", "status", "error", "zone", "pod", "request_id")


def load_timeline(path: Path) -> Timeline:
    """
    The record in run folder *path*.

    Raises HarnessError when the folder is no run folder, or its plan or environment cannot be read; whatever else is
    missing is simply absent from the timeline, and for the verifiers to notice.
    """
    run = RunDir(path)
    plan = _read_json(run.plan)
    environment = _read_json(run.environment)
    zero = float(environment["started"])
    events = [_event(line, zero) for line in read_lines(run.events)]
    return Timeline(
        plan=parse_plan(plan),
        environment=environment,
        events=tuple(sorted(events, key=lambda event: event.at)),
        series=_series(run.series, zero),
        requests=_requests(run.requests, zero),
        undo=tuple(read_lines(run.undo)),
        journals=_read_json(run.journal) if run.journal.is_file() else {},
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise HarnessError(
            f"{path.parent} is not a run folder: it has no {path.name}", hint="name a folder below reports/"
        ) from error
    except ValueError as error:
        raise HarnessError(f"{path} is not JSON: {error}", hint="the record was damaged after the run") from error


def _event(line: dict[str, Any], zero: float) -> Event:
    stamp = line.get("stamp")
    return Event(
        at=line["at"] - zero,
        source=line["source"],
        kind=line["kind"],
        subject=line["subject"],
        value=line.get("value", {}),
        stamp=None if stamp is None else stamp - zero,
    )


def _tables(folder: Path) -> pa.Table | None:
    """All parts of *folder* as one table; None when there is none."""
    parts = sorted(folder.glob("*.parquet"))
    if not parts:
        return None
    return pa.concat_tables([pq.read_table(part) for part in parts]).unify_dictionaries()


def _series(folder: Path, zero: float) -> tuple[Series, ...]:
    table = _tables(folder)
    if table is None:
        return ()
    frame = table.to_pandas()
    frame["at"] = (frame["at"] - zero).round(6)
    frame = frame.sort_values(["metric", "labels", "at"], kind="stable").drop_duplicates(["metric", "labels", "at"])
    return tuple(
        Series(str(metric), json.loads(str(labels)), tuple(group["at"]), tuple(group["value"]))
        for (metric, labels), group in frame.groupby(["metric", "labels"], observed=True, sort=True)
    )


def _requests(folder: Path, zero: float) -> Requests:
    table = _tables(folder)
    if table is None:
        return Requests()
    frame = table.select(REQUEST_COLUMNS).to_pandas().sort_values("start", kind="stable")
    columns: dict[str, Any] = {}
    for name in REQUEST_COLUMNS:
        values = frame[name].to_numpy()
        if name in ("intended", "start"):
            values = values - zero
        elif name not in ("latency", "status"):
            values = values.astype(object)
        columns[name] = np.asarray(values)
    return Requests(**columns)
