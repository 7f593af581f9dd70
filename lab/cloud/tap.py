"""
The WSGI tap on moto: one call at a time, every change counted, and a door for the lab's actuators.

    POST /_lab/sync?after=N&wait=S   {"alive": [...], "gone": [...], "failed": {...}}  → snapshot
    GET  /_lab/watch?after=N&wait=S                                                    → snapshot
    GET  /_lab/health                                                                  → 200

Both wait up to S seconds for a change after generation N. The door is the lab's alone; the harness calls plain AWS.
"""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from lab.cloud.autoscaling_api import reconcile_all
from lab.cloud.machines import Observed
from lab.cloud.snapshot import backend, lab_instances, snapshot

DOOR = "/_lab/"
LONGEST_WAIT = 30.0
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
_READS = ("Describe", "Get", "List")
log = logging.getLogger(__name__)

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Tap:
    """*application* with its calls in single file; moto itself holds no locks."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application
        self._changed = threading.Condition(threading.RLock())
        self._generation = 1

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """An answer of moto's, or of the door."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if environ["PATH_INFO"].startswith(DOOR):
            return self._door(environ, body, start_response)
        with self._changed:
            answer = b"".join(self._application(environ, start_response))
            if self._changes(environ, body):
                reconcile_all(backend("autoscaling"))
                self._bump()
        return [answer]

    @staticmethod
    def _changes(environ: Environ, body: bytes) -> bool:
        found = _ACTION.search(body)
        if found is None:
            return environ["REQUEST_METHOD"] not in {"GET", "HEAD"}
        return not found[1].decode().startswith(_READS)

    def _bump(self) -> None:
        self._generation += 1
        self._changed.notify_all()

    def _door(self, environ: Environ, body: bytes, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"].removeprefix(DOOR)
        query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        try:
            answer = self._answer(path, query, body)
            status = "200 OK" if answer is not None else "404 Not Found"
        except (KeyError, ValueError, TypeError) as error:
            answer, status = {"error": f"{path}: {error!r}"}, "400 Bad Request"
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def _answer(self, path: str, query: dict[str, str], body: bytes) -> dict[str, Any] | None:
        if path == "health":
            return {"generation": self._generation}
        if path not in {"sync", "watch"}:
            return None
        after, wait = int(query.get("after", "0")), min(LONGEST_WAIT, float(query.get("wait", "0")))
        if path == "sync":
            said = json.loads(body)
            self._observe(Observed(frozenset(said["alive"]), frozenset(said["gone"]), dict(said["failed"])))
        return self._await(after, wait)

    def _observe(self, observed: Observed) -> None:
        with self._changed:
            before = self._lifecycles()
            for instance in lab_instances():
                instance.observe(observed)
            reconcile_all(backend("autoscaling"))
            if self._lifecycles() != before:
                self._bump()

    @staticmethod
    def _lifecycles() -> list[tuple[str, str]]:
        return [(instance.id, instance.state) for instance in lab_instances()]

    def _await(self, after: int, wait: float) -> dict[str, Any]:
        deadline = time.monotonic() + wait
        with self._changed:
            while self._generation <= after and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return {"generation": self._generation, **snapshot()}
