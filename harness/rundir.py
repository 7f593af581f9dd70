"""
The run folder: every path and every file format of a run's record, in one place.

Writers append and never rewrite, so that a killed run leaves a readable record; `harness.record` reads it back. A
line of `events.jsonl` is one `write` to a file opened for appending, which Linux keeps whole between processes.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_WORD = pa.dictionary(pa.int32(), pa.string())
SERIES_SCHEMA = pa.schema([("metric", _WORD), ("labels", _WORD), ("at", pa.float64()), ("value", pa.float64())])
REQUEST_SCHEMA = pa.schema(
    [
        ("intended", pa.float64()),
        ("start", pa.float64()),
        ("latency", pa.float64()),
        ("name", _WORD),
        ("method", _WORD),
        ("status", pa.int32()),
        ("error", _WORD),
        ("bytes", pa.int64()),
        ("zone", _WORD),
        ("pod", _WORD),
        ("request_id", pa.string()),
    ]
)


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels as the one text that stands for them: JSON with sorted keys."""
    return json.dumps(dict(labels), sort_keys=True, separators=(",", ":"))


class PartWriter:
    """
    Rows of one table, kept in memory until `flush` closes them into a Parquet part of their own; thread-safe.

    A part is written beside its place and renamed into it, so that a reader never meets half of one.
    """

    def __init__(self, folder: Path, prefix: str, schema: pa.Schema) -> None:
        self._folder = folder
        self._prefix = prefix
        self._schema = schema
        self._rows: list[tuple[Any, ...]] = []
        self._lock = threading.Lock()
        self._number = len(list(folder.glob(f"{prefix}-*.parquet"))) if folder.is_dir() else 0

    def append(self, row: tuple[Any, ...]) -> None:
        """Keep *row*, its fields in the schema's order, for the next part."""
        with self._lock:
            self._rows.append(row)

    def __len__(self) -> int:
        return len(self._rows)

    def flush(self) -> Path | None:
        """Write what has come since the last flush; the new part's path, or None when there was nothing."""
        with self._lock:
            rows, self._rows = self._rows, []
            if not rows:
                return None
            self._number += 1
            number = self._number
        columns = list(zip(*rows, strict=True))
        table = pa.Table.from_arrays(
            [pa.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)],
            schema=self._schema,
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._prefix}-{number:05d}.parquet"
        unfinished = path.with_suffix(".unfinished")
        pq.write_table(table, unfinished, compression="zstd")
        unfinished.rename(path)
        return path


class SeriesWriter(PartWriter):
    """Samples of one source's series."""

    def add(self, metric: str, labels: Mapping[str, str], at: float, value: float) -> None:
        """Keep one sample; *at* in Unix seconds."""
        self.append((metric, labels_text(labels), at, value))


@dataclass(frozen=True, slots=True)
class RunDir:
    """One run's folder; knows where everything is and how it is written."""

    path: Path

    @property
    def plan(self) -> Path:
        """The plan, resolved."""
        return self.path / "plan.json"

    @property
    def environment(self) -> Path:
        """What ran where, and the state before."""
        return self.path / "environment.json"

    @property
    def events(self) -> Path:
        """Everything that happened, one line each."""
        return self.path / "events.jsonl"

    @property
    def undo(self) -> Path:
        """The write-ahead undo journal."""
        return self.path / "undo.jsonl"

    @property
    def journal(self) -> Path:
        """Chaos Toolkit's own journals."""
        return self.path / "journal.json"

    @property
    def verdicts(self) -> Path:
        """What the judge said."""
        return self.path / "verdicts.json"

    @property
    def logs(self) -> Path:
        """What the processes said."""
        return self.path / "logs"

    @property
    def requests(self) -> Path:
        """Every request of the load."""
        return self.path / "requests"

    @property
    def series(self) -> Path:
        """Samples of metrics."""
        return self.path / "series"

    @property
    def lease(self) -> Path:
        """Touched while the runner lives."""
        return self.path / "lease"

    @property
    def processes(self) -> Path:
        """The processes that the runner started."""
        return self.path / "processes.jsonl"

    def make(self) -> None:
        """Make the folder with its rooms; the run's name must be new."""
        self.path.mkdir(parents=True)
        for folder in (self.logs, self.requests, self.series):
            folder.mkdir()

    def append_event(  # noqa: PLR0913 - an event has these fields
        self,
        source: str,
        kind: str,
        subject: str,
        value: Mapping[str, Any] | None = None,
        *,
        stamp: float | None = None,
        at: float | None = None,
    ) -> None:
        """Append one event; *at* (now, if not given) and *stamp* in Unix seconds."""
        self.append_line(
            self.events,
            {
                "at": round(time.time() if at is None else at, 6),
                "source": source,
                "kind": kind,
                "subject": subject,
                "value": dict(value or {}),
                "stamp": stamp,
            },
        )

    def append_line(self, path: Path, document: Mapping[str, Any], *, sync: bool = False) -> None:
        """Append *document* as one line of JSON; with *sync* it is on the disk when this returns."""
        line = (json.dumps(document, default=str, separators=(",", ":")) + "\n").encode()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def write_json(self, path: Path, document: Any) -> None:
        """Write *document* whole or not at all, keys sorted, so that equal content is equal bytes."""
        unfinished = path.with_name(path.name + ".unfinished")
        unfinished.write_text(json.dumps(document, indent=1, sort_keys=True, default=str) + "\n")
        unfinished.rename(path)

    def series_writer(self, source: str) -> SeriesWriter:
        """A writer of *source*'s series."""
        return SeriesWriter(self.series, source, SERIES_SCHEMA)

    def request_writer(self, worker: str = "part") -> PartWriter:
        """A writer of requests: rows in the order of REQUEST_SCHEMA."""
        return PartWriter(self.requests, worker, REQUEST_SCHEMA)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The documents of a `.jsonl` file; a last line that a kill cut short is left out. A missing file has none."""
    if not path.is_file():
        return []
    whole = path.read_bytes()
    lines = whole.split(b"\n")
    torn = lines.pop()  # empty when the file ends as it should
    documents = [json.loads(line) for line in lines if line.strip()]
    if torn.strip():
        try:
            documents.append(json.loads(torn))
        except ValueError:
            return documents
    return documents
