"""
Records a load as it runs: loaded by Locust beside the profile (`locust -f recorder.py,profile.py`).

Every request goes raw into the run folder named by GAMEDAY_RUN, and once a second how the load and its generator
fare. What is kept in memory is at most FLUSH_EVERY seconds of requests: a killed load loses no more than that.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import gevent
import pyarrow as pa
from locust import events

from harness.load.rows import Headers, request_row
from harness.load.schedule import parse_stages
from harness.load.stages import PlannedShape, StagedShape
from harness.model.plan import Stage
from harness.rundir import PartWriter, RunDir
from harness.target.targetfile import load_target

FLUSH_EVERY = 2.0
SAMPLE_EVERY = 1.0
BROKEN = 4  # exit code of a load that could not be recorded
PULSE = 0.05  # how often the event loop is asked whether it still comes in time

# Parts are written by a thread of their own; it gives the interpreter back often, so that requests are not kept waiting.
SWITCH_INTERVAL = 0.001


class Recorder:
    """Listens to one Locust process and writes to one run folder."""

    def __init__(self, environment: Any, run: RunDir, headers: Headers) -> None:
        self.environment = environment
        self.run = run
        self.headers = headers
        self.rows: list[tuple[Any, ...]] = []
        self.requests: PartWriter = run.request_writer()
        self.series = run.series_writer("load")
        self.exceptions = 0
        self.answered = 0
        self.lag = 0.0
        self.used = _cpu_seconds()
        self.sampled = time.perf_counter()
        self.parent = os.getppid()
        self.greenlets: list[Any] = []
        self.ended = False

    def listen(self) -> None:
        """Hook into Locust's events."""
        here = self.environment.events
        here.request.add_listener(self.on_request)
        here.user_error.add_listener(self.on_user_error)
        here.test_start.add_listener(self.on_test_start)
        here.quit.add_listener(self.on_quit)
        # Locust's own handler stands only once the shape has ended; until then SIGTERM would cut the record off.
        gevent.signal_handler(signal.SIGTERM, self.environment.runner.quit)

    def on_request(self, **said: Any) -> None:
        """Keep one request; a string of appends, for this runs within every user's request."""
        self.rows.append(request_row(said, self.headers))
        self.answered += 1

    def on_user_error(self, **_: Any) -> None:
        """Count an exception that a profile's task let out: a fault of the profile, not of the stack."""
        self.exceptions += 1

    def on_test_start(self, **_: Any) -> None:
        """The load begins: say so, and start to look after it."""
        profile = os.environ.get("GAMEDAY_PROFILE", "")
        self.run.append_event("load", "load.started", profile, {"pid": os.getpid()})
        loops = (self.announce_stages, self.pulse, self.sample_each_second, self.flush_each_interval)
        self.greenlets = [gevent.spawn(loop) for loop in loops]
        for greenlet in self.greenlets:
            greenlet.link_exception(self.on_broken)

    def on_broken(self, greenlet: Any) -> None:
        """A load that cannot be recorded (a full disk, say) is worth nothing: end it, and not with success."""
        logging.getLogger(__name__).error("the recorder broke: %r; the load ends", greenlet.exception)
        self.environment.process_exit_code = BROKEN
        gevent.spawn(self.environment.runner.quit)

    def announce_stages(self) -> None:
        """Say when each stage begins, to the moment; end the test after the last one, if its shape does not."""
        shape, stages, at = self.environment.shape_class, self.stages(), 0.0
        if not stages:
            return
        zero = shape.start_time
        for stage in stages:
            gevent.sleep(max(0.0, zero + at - time.perf_counter()))
            value = {"users": stage.users, "seconds": stage.seconds}
            self.run.append_event("load", "load.stage", stage.name, value)
            at += stage.seconds
        if not isinstance(shape, StagedShape):
            gevent.sleep(max(0.0, zero + at - time.perf_counter()))
            gevent.spawn(self.environment.runner.quit)

    def stages(self) -> tuple[Stage, ...]:
        """The stages that phases are named by: the plan's, or the profile's own when it is run without; else none."""
        planned = os.environ.get("GAMEDAY_STAGES")
        if planned:
            return parse_stages(planned)
        shape = self.environment.shape_class
        return tuple(shape.stages) if isinstance(shape, StagedShape) else ()

    def pulse(self) -> None:
        """Measure how late the event loop comes: by so much any answer may be stamped late."""
        while True:
            asked = time.perf_counter()
            gevent.sleep(PULSE)
            self.lag = max(self.lag, time.perf_counter() - asked - PULSE)

    def sample_each_second(self) -> None:
        """Sample on a fixed beat, and end the test when whoever started it is gone."""
        due = time.perf_counter()
        while True:
            due = max(due + SAMPLE_EVERY, time.perf_counter())
            gevent.sleep(max(0.0, due - time.perf_counter()))
            self.sample()
            if os.getppid() != self.parent:
                gevent.spawn(self.environment.runner.quit)
                return

    def sample(self) -> None:
        """Write how the load and its generator fare now."""
        at, now, used = time.time(), time.perf_counter(), _cpu_seconds()
        values = {
            "load.users": self.environment.runner.user_count,
            "load.requests": self.answered,
            "load.exceptions": self.exceptions,
            "load.lag": self.lag,
            "load.cpu": (used - self.used) / max(now - self.sampled, 1e-6),
        }
        if (users := scheduled_users()) is not None:
            tally = users.LEDGER.tally(now)
            values |= {
                f"load.{name}": getattr(tally, name)
                for name in ("offered", "started", "completed", "abandoned", "dropped", "late", "behind")
            }
            # A lagging loop makes every user late, also one that seems held up by the service.
            values["load.late"] = max(tally.late, self.lag)
        self.lag, self.used, self.sampled = 0.0, used, now
        for metric, value in values.items():
            self.series.add(metric, {}, at, float(value))

    def flush_each_interval(self) -> None:
        """Write what has come, in a thread, so that no user waits for the disk."""
        while True:
            gevent.sleep(FLUSH_EVERY)
            rows, self.rows = self.rows, []
            gevent.get_hub().threadpool.apply(self.write, (rows,))
            self.series.flush()

    def write(self, rows: list[tuple[Any, ...]]) -> None:
        """Close *rows* into a part."""
        for row in rows:
            self.requests.append(row)
        self.requests.flush()

    def on_quit(self, exit_code: int, **_: Any) -> None:
        """Write the last of it; nothing runs any more."""
        if self.ended:
            return
        self.ended = True
        gevent.killall(self.greenlets)
        rows, self.rows = self.rows, []
        self.write(rows)
        if self.greenlets:
            self.sample()
        self.series.flush()
        self.run.append_event("load", "load.ended", os.environ.get("GAMEDAY_PROFILE", ""), {"code": exit_code})


def scheduled_users() -> ModuleType | None:
    """The module of users on a schedule, if the profile uses it."""
    return sys.modules.get("harness.load.users")


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _headers() -> Headers:
    """The headers in which an answer says who gave it, as the target file names them."""
    file = os.environ.get("GAMEDAY_TARGET")
    if not file:
        return Headers()
    target = load_target(Path(file))
    return Headers(target.zone_header, target.pod_header)


def _adopt_shape(environment: Any) -> None:
    """Give a profile without a shape the plan's stages; a profile's own shape stays."""
    if environment.shape_class is None and os.environ.get("GAMEDAY_STAGES"):
        environment.shape_class = PlannedShape()
        environment.shape_class.runner = environment.runner


@events.init.add_listener  # type: ignore[untyped-decorator]
def record(environment: Any, **_: Any) -> None:
    """Start to record, if there is a run folder to record to."""
    folder = os.environ.get("GAMEDAY_RUN")
    if not folder:
        return
    pa.set_cpu_count(1)
    sys.setswitchinterval(SWITCH_INTERVAL)
    _adopt_shape(environment)
    _warm_up()
    Recorder(environment, RunDir(Path(folder)), _headers()).listen()


def _warm_up() -> None:
    """Do once, before the load, what would stop it later: pyarrow loads half of itself, a second of CPU, at first use."""
    with tempfile.TemporaryDirectory() as folder:
        writer = RunDir(Path(folder)).request_writer()
        writer.append((0.0, 0.0, 0.0, "", "", 0, "", 0, "", "", ""))
        writer.flush()
    # What is loaded by now stays: the garbage collector need not go through it again and again.
    gc.collect()
    gc.freeze()
