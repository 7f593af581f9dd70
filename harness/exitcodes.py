"""What `gameday`'s exit codes mean, all in one place."""

from __future__ import annotations

from enum import IntEnum

from harness.model.verdict import Outcome


class ExitCode(IntEnum):
    """How a command ended, for scripts and CI."""

    PASS = 0
    FAIL = 1
    INCONCLUSIVE = 2
    BAD_PLAN = 3
    HARNESS_BROKE = 4
    INTERRUPTED = 130


OF_OUTCOME = {
    Outcome.PASS: ExitCode.PASS,
    Outcome.FAIL: ExitCode.FAIL,
    Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}
