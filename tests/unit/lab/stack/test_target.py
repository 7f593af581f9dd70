"""The target file is what docs/architecture.md says, and is written whole."""

from __future__ import annotations

from pathlib import Path

import yaml

from lab.stack import target
from lab.stack.awaiting import still_missing

STATE = Path("/var/lib/gameday/lab")
ARCHITECTURE = Path(__file__).parents[4] / "docs" / "architecture.md"


def test_the_file_is_the_one_that_the_architecture_shows(tmp_path: Path) -> None:
    shown = ARCHITECTURE.read_text().split("## Target file")[1].split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "target.yaml"

    target.write(file, STATE)

    assert yaml.safe_load(file.read_text()) == yaml.safe_load(shown)
    assert file.read_text().startswith("# Written by `lab up`")
    assert [path.name for path in tmp_path.iterdir()] == ["target.yaml"]


def test_what_is_missing_still_at_the_deadline_is_told() -> None:
    assert still_missing(lambda: ["HPA front: no metrics"], 0.0) == ["HPA front: no metrics"]
    assert still_missing(list, 0.0) == []
