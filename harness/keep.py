"""Keeping a run as a small recording: the same record, its parts put together, without logs and process numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.model.errors import HarnessError
from harness.rundir import REQUEST_SCHEMA, SERIES_SCHEMA, RunDir

KEPT = (
    "plan.json",
    "events.jsonl",
    "undo.jsonl",
    "journal.json",
    "verdicts.json",
    "report.html",
    "report.md",
    "junit.xml",
)


def keep(run: RunDir, folder: Path) -> Path:
    """
    Copy *run* into *folder*, which must not exist, as small as it can be and still be judged the same.

    Raises HarnessError when *folder* is there already or *run* is no run folder.
    """
    if not run.environment.is_file():
        raise HarnessError(f"{run.path} is not a run folder", hint="name a folder below reports/")
    if folder.exists():
        raise HarnessError(f"{folder} is there already", hint="name a new folder")
    folder.mkdir(parents=True)
    for name in KEPT:
        if (run.path / name).is_file():
            shutil.copyfile(run.path / name, folder / name)
    kept = RunDir(folder)
    environment = json.loads(run.environment.read_text())
    # A recording goes to other people: where its files lay here is not theirs to know.
    environment["target"]["file"] = Path(environment["target"]["file"]).name
    kept.write_json(kept.environment, environment)
    _together(run.requests, kept.requests, REQUEST_SCHEMA)
    _together(run.series, kept.series, SERIES_SCHEMA)
    return folder


def _together(parts: Path, into: Path, schema: pa.Schema) -> None:
    """All parts of a table as one file; nothing where there are none."""
    files = sorted(parts.glob("*.parquet"))
    into.mkdir()
    if files:
        table = pa.concat_tables([pq.read_table(file, schema=schema) for file in files]).unify_dictionaries()
        pq.write_table(table, into / "all.parquet", compression="zstd", compression_level=19)
