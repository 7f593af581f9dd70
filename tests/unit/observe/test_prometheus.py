"""Prometheus's own answers (recorded from 2.42) become samples, each once."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from harness.model.errors import CollectorLost
from harness.observe.prometheus import Fresh, Prometheus, Samples, parse, queries
from harness.rundir import RunDir

ANSWERS = Path(__file__).parent / "answers"
UP = '{"instance":"127.0.0.1:39871","job":"self","namespace":"shop"}'


def answer(name):
    return json.loads((ANSWERS / f"{name}.json").read_text())


def test_a_real_answer_keeps_names_labels_and_prometheus_times():
    samples = {got.metric: got for got in parse(answer("matrix"))}
    assert samples["up"] == Samples("up", UP, ((1795415904.312, 1.0), (1795415906.312, 1.0)))
    assert set(samples) == {"up", "prometheus_tsdb_head_max_time"}


@pytest.mark.parametrize(("name", "says"), [("parse_error", "parse error"), ("vector", "a matrix was asked for")])
def test_an_answer_without_samples_is_a_loss_not_an_empty_one(name, says):
    with pytest.raises(CollectorLost, match=says):
        list(parse(answer(name)))


def test_special_values_are_numbers():
    series = {"metric": {"__name__": "m"}, "values": [[1, "+Inf"], [2, "NaN"]]}
    (samples,) = parse({"status": "success", "data": {"resultType": "matrix", "result": [series]}})
    assert samples.points[0][1] == float("inf")
    assert samples.points[1][1] != samples.points[1][1]


def test_overlapping_windows_give_each_sample_once():
    fresh = Fresh()
    assert fresh.take(Samples("m", "{}", ((1, 10), (2, 20)))) == ((1, 10), (2, 20))
    assert fresh.take(Samples("m", "{}", ((2, 20), (3, 30)))) == ((3, 30),)
    assert fresh.take(Samples("m", "{}", ())) == ()
    assert fresh.take(Samples("m", '{"a":"b"}', ((2, 20),))) == ((2, 20),)


def collector(tmp_path, handler):
    source = Prometheus("http://prometheus.test", ["up"])
    folder = RunDir(tmp_path)
    source.open(folder)
    source._client = httpx.Client(base_url="http://prometheus.test", transport=httpx.MockTransport(handler))
    return source, folder


def test_what_was_fetched_twice_is_recorded_once(tmp_path):
    source, folder = collector(tmp_path, lambda _: httpx.Response(200, json=answer("matrix")))
    source.poll()
    source.poll()
    table = pq.read_table(folder.series).to_pydict()
    assert len(table["at"]) == 4
    assert table["labels"] == [UP] * 4


def test_an_answer_that_is_no_json_is_a_loss(tmp_path):
    source, _ = collector(tmp_path, lambda _: httpx.Response(502, text="<html>bad gateway</html>"))
    with pytest.raises(CollectorLost, match="HTTP 502"):
        source.poll()


def test_after_a_loss_the_window_reaches_back_to_the_last_fetch(tmp_path, monkeypatch):
    asked = []

    def handler(request):
        asked.append(httpx.QueryParams(request.content.decode())["query"])
        return httpx.Response(200, json=answer("matrix"))

    source, _ = collector(tmp_path, handler)
    now = iter([100.0, 160.0])
    monkeypatch.setattr("harness.observe.prometheus.time.monotonic", lambda: next(now))
    source.poll()
    source.poll()
    assert asked == ["up[10s]", "up[70s]"]


def test_queries_stay_inside_the_targets_namespaces():
    asked = queries(["shop", "pay"])
    assert any('namespace=~"shop|pay"' in query and "container_cpu_usage_seconds_total" in query for query in asked)
