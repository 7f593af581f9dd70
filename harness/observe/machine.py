"""This machine's own CPU, pressure and memory: a load generator or a lab without room to breathe proves nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from harness.rundir import RunDir, SeriesWriter

PROC = Path("/proc")
FLUSH_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment: CPU in ticks since boot, *waited* seconds in which some task waited for a CPU."""

    at: float
    idle: int
    steal: int
    total: int
    memory_available: int
    waited: float | None


def read(proc: Path = PROC) -> Reading:
    """What the kernel says now; *waited* is None where it keeps no pressure figures."""
    fields = [int(word) for word in (proc / "stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, idle, iowait, irq, softirq, steal = (fields + [0] * 8)[:8]
    memory = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines())
    return Reading(
        at=time.time(),
        idle=idle + iowait,
        steal=steal,
        total=user + nice + system + idle + iowait + irq + softirq + steal,
        memory_available=int(memory["MemAvailable"].split()[0]) * 1024,
        waited=_waited(proc / "pressure" / "cpu"),
    )


def _waited(path: Path) -> float | None:
    try:
        some = path.read_text().split("\n", 1)[0]
    except OSError:
        return None
    return int(some.rsplit("total=", 1)[1]) / 1e6


def between(before: Reading, after: Reading) -> dict[str, float]:
    """
    The machine's metrics over the time between two readings.

    Time stolen by the hypervisor counts as busy, for it was not to be had; it is told apart too.
    """
    ticks, seconds = after.total - before.total, after.at - before.at
    if ticks <= 0 or seconds <= 0:
        return {}
    metrics = {
        "machine.cpu_busy": 1 - (after.idle - before.idle) / ticks,
        "machine.cpu_steal": (after.steal - before.steal) / ticks,
        "machine.memory_available": float(after.memory_available),
    }
    if before.waited is not None and after.waited is not None:
        metrics["machine.cpu_pressure"] = min(1.0, (after.waited - before.waited) / seconds)
    return metrics


class Machine:
    """The machine as a source; the first reading only sets the beginning of the first span."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._before: Reading | None = None
        self._writer: SeriesWriter | None = None
        self._flushed = 0.0

    def open(self, folder: RunDir) -> None:
        """Begin to write."""
        self._writer = folder.series_writer("machine")

    def poll(self) -> None:
        """Write what happened since the last look."""
        now = read(self._proc)
        before, self._before = self._before, now
        if before is None or self._writer is None:
            return
        for metric, value in between(before, now).items():
            self._writer.add(metric, {}, now.at, value)
        if now.at - self._flushed >= FLUSH_EVERY:
            self._flushed = now.at
            self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.flush()
