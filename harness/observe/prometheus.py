"""Raw samples out of Prometheus, with its own timestamps, while the run goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from harness.model.errors import CollectorLost
from harness.rundir import RunDir, SeriesWriter, labels_text

# A look every POLL seconds, CONNECT + READ at most for an answer: a Prometheus that falls silent is missed within 7 s.
POLL = 4.0
CONNECT, READ = 1.0, 3.0
OVERLAP = 10.0  # samples may become visible a little after their own time; what was seen already is left out
LONGEST_CATCH_UP = 1800.0


def queries(namespaces: Sequence[str]) -> tuple[str, ...]:
    """The series that verifiers and reports need, as instant selectors; none of them matches without bound."""
    inside = f'namespace=~"{"|".join(namespaces)}"'
    return (
        "up",
        "scrape_duration_seconds",
        # Whatever the applications under test say of themselves, but for their languages' runtimes.
        f'{{{inside},__name__!~"(container|kube|kubelet|go|python|process|machine)_.*|up|scrape_.*|.*_created"}}',
        f'container_cpu_usage_seconds_total{{{inside},container!="",container!="POD"}}',
        f'container_memory_working_set_bytes{{{inside},container!="",container!="POD"}}',
        f'container_cpu_cfs_throttled_periods_total{{{inside},container!=""}}',
        '{__name__=~"haproxy_(server|backend)_(status|active_servers|http_responses_total|check_up_down_total)"}',
        '{__name__=~"cluster_autoscaler_(unschedulable_pods_count|nodes_count|errors_total|last_activity)"}',
        '{__name__=~"cluster_autoscaler_(scaled_up_nodes_total|scaled_down_nodes_total|failed_scale_ups_total)"}',
        'node_cpu_seconds_total{mode=~"idle|iowait|steal"}',
        '{__name__=~"node_pressure_(cpu|memory|io)_waiting_seconds_total|node_memory_MemAvailable_bytes|node_load1"}',
        'apiserver_request_total{code=~"5..|429"}',
        '{__name__=~"(pg_up|redis_up|process_start_time_seconds)"}',
    )


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one series as Prometheus stored them: *labels* as the record writes them, times in Unix seconds."""

    metric: str
    labels: str
    points: tuple[tuple[float, float], ...]


def parse(answer: Mapping[str, Any]) -> Iterator[Samples]:
    """
    The samples of a range selector's answer.

    Raises CollectorLost when Prometheus says that the query failed, or answers in another form than a matrix.
    """
    if answer.get("status") != "success":
        raise CollectorLost(f"Prometheus refuses: {answer.get('errorType', '')} {answer.get('error', answer)}".strip())
    data = answer.get("data", {})
    if data.get("resultType") != "matrix":
        raise CollectorLost(f"Prometheus answers with a {data.get('resultType')}, a matrix was asked for")
    for series in data["result"]:
        labels = dict(series["metric"])
        metric = labels.pop("__name__", "")
        points = tuple((float(at), float(value)) for at, value in series.get("values", ()))
        yield Samples(metric, labels_text(labels), points)


class Fresh:
    """Lets each sample through once: those of a series that are later than the last one let through."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], float] = {}

    def take(self, samples: Samples) -> tuple[tuple[float, float], ...]:
        """The points not let through before; they come in order of time, as Prometheus gives them."""
        key = (samples.metric, samples.labels)
        last = self._last.get(key, -math.inf)
        fresh = tuple(point for point in samples.points if point[0] > last)
        if fresh:
            self._last[key] = fresh[-1][0]
        return fresh


class Prometheus:
    """A Prometheus server as a source of series."""

    def __init__(self, url: str, asked: Sequence[str]) -> None:
        self._url = url.rstrip("/")
        self._asked = asked
        self._fresh = Fresh()
        self._since: dict[str, float] = {}
        self._client: httpx.Client | None = None
        self._writer: SeriesWriter | None = None

    def open(self, folder: RunDir) -> None:
        """Begin to write; no connection yet."""
        self._writer = folder.series_writer("prometheus")
        timeout = httpx.Timeout(READ, connect=CONNECT)
        # The target is named by the target file alone, never by this machine's proxy settings.
        self._client = httpx.Client(base_url=self._url, timeout=timeout, trust_env=False)

    def poll(self) -> None:
        """Fetch what has come since the last look that succeeded, of every query."""
        if self._client is None or self._writer is None:
            raise CollectorLost("the collector was not opened")
        try:
            for query in self._asked:
                self._fetch(self._client, self._writer, query)
        finally:
            self._writer.flush()

    def close(self) -> None:
        """Write what is left and hang up."""
        if self._writer is not None:
            self._writer.flush()
        if self._client is not None:
            self._client.close()

    def _fetch(self, client: httpx.Client, writer: SeriesWriter, query: str) -> None:
        now = time.monotonic()
        window = min(now - self._since.get(query, now) + OVERLAP, LONGEST_CATCH_UP)
        answer = client.post("/api/v1/query", data={"query": f"{query}[{math.ceil(window)}s]"})
        try:
            document = answer.json()
        except ValueError as error:
            raise CollectorLost(f"Prometheus answers HTTP {answer.status_code} and no JSON") from error
        for samples in parse(document):
            for at, value in self._fresh.take(samples):
                writer.append((samples.metric, samples.labels, at, value))
        self._since[query] = now
