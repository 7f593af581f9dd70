"""Plan files: read, checked whole, refused with file, line, field and hint; and the plan's form in a run folder."""

from harness.planfile.loading import load_plan
from harness.planfile.recorded import dump_plan, parse_plan

__all__ = ["dump_plan", "load_plan", "parse_plan"]
