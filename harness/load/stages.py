"""The load's shape as Locust asks for it: the plan's stages, or those that a profile brings for running it plainly."""

from __future__ import annotations

import os
from collections.abc import Sequence

from locust import LoadTestShape

from harness.load.schedule import parse_stages, users_at
from harness.model.plan import Stage

# Users come and go once a second, at the shape's tick. The ramp is in the user counts themselves, for Locust's own
# blocks the shape until it is done, and a stage shorter than its ramp would be skipped.
AT_ONCE = 10_000.0


class StagedShape(LoadTestShape):  # type: ignore[misc]
    """
    Drives the users through GAMEDAY_STAGES; without it through *stages*, the profile's own.

    The test ends with the last stage.
    """

    abstract = True
    stages: Sequence[Stage] = ()

    def __init__(self) -> None:
        super().__init__()
        planned = os.environ.get("GAMEDAY_STAGES")
        if planned:
            self.stages = parse_stages(planned)

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be now; None at the end."""
        users = users_at(self.stages, self.get_run_time())
        return None if users is None else (users, AT_ONCE)


class PlannedShape(StagedShape):
    """The shape of a profile that brings none: the plan's stages."""

    abstract = True  # so that a locustfile that imports it does not get it as its own
