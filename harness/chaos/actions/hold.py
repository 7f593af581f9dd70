"""Leaving a fault in place for a while."""

from __future__ import annotations

import time
from typing import Any

from harness.chaos.session import Session
from harness.model.errors import TargetError


def hold(seconds: float) -> dict[str, Any]:
    """
    Let this experiment's fault last for *seconds*, and see at the end that it did.

    Raises TargetError at once when no harm is armed (so that a refused fault is not waited for), and at the end when
    the harm is gone. Use it rather than `pauses.after`, which Chaos Toolkit waits for also after a failed action.
    """
    session = Session.current()
    held = [entry.id for entry in session.journal.pending(session.experiment)]
    if not held:
        raise TargetError("there is no fault to hold: none of this experiment is in place")
    began = time.time()
    time.sleep(float(seconds))
    gone = [each for each in held if not session.journal.differences(session.target, [each])]
    if gone:
        raise TargetError(
            f"the fault did not last: somebody took it back within {seconds} s",
            hint="does another tool manage what the fault changed, or did somebody run `gameday undo`?",
        )
    return {"held": held, "seconds": round(time.time() - began, 3)}
