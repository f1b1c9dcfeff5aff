"""What is sent, when it is sent again, and that every span is accounted for."""

import gzip
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mcp_observatory import TraceContext, instrument
from mcp_observatory.exporters import HttpExporter
from scripted_server import DROP, KEY, Hit, Scripted, ScriptedServer

Exporting = Callable[..., HttpExporter]


@pytest.fixture
def exporting(server: ScriptedServer) -> Iterator[Exporting]:
    made: list[HttpExporter] = []

    def make(url: str = "", key: str = KEY, **options: Any) -> HttpExporter:
        settings = {"interval_s": 0.01, "exit_timeout_s": 2.0, "timeout_s": 2.0, "random": lambda: 0.0, **options}
        made.append(HttpExporter(url or server.url, key, **settings))
        return made[-1]

    yield make
    server.over.set()
    for exporter in made:
        exporter.close()


def span(name: str = "a", **fields: Any) -> TraceContext:
    return TraceContext("shop", "tool_call", tool_name=name, **fields)


def sent(hit: Hit) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = json.loads(gzip.decompress(hit.body))["spans"]
    return spans


def taken(count: int, *codes: str) -> Scripted:
    rejected = [{"index": index, "code": code, "detail": "D"} for index, code in enumerate(codes)]
    return Scripted(body={"accepted": count - len(codes), "duplicates": 0, "rejected": rejected})


def test_spans_are_sent_in_a_batch_as_the_door_takes_them(server: ScriptedServer, exporting: Exporting) -> None:
    exporter = exporting(interval_s=30.0)
    interceptor = instrument("shop", exporter)
    with interceptor.span("tool_call", tool_name="find") as above:
        interceptor.record_model_call("gpt-4o", "Hello MCP", response="Hello human", confidence=0.5)
    assert exporter.flush(5)
    (hit,) = server.hits
    assert (hit.method, hit.path, hit.headers["x-api-key"]) == ("POST", "/telemetry/spans", KEY)
    assert (hit.headers["content-type"], hit.headers["content-encoding"]) == ("application/json", "gzip")
    model, tool = sent(hit)
    times = {"start_time": model.pop("start_time"), "end_time": model.pop("end_time"), "id": model.pop("span_id")}
    assert model == {
        "trace_id": above.trace_id,
        "parent_span_id": above.span_id,
        "kind": "model_call",
        "name": "chat gpt-4o",
        "service": "shop",
        "model": "gpt-4o",
        "prompt_tokens": 3,
        "completion_tokens": 3,
        "token_source": "estimate",
        "cost_usd": "0.00003750",
        "retries": 0,
        "fallback_used": False,
        "confidence": 0.5,
        "deterministic_fallback": False,
        "high_risk_path": False,
    }
    assert len(times["start_time"]) == len("2026-01-01T00:00:00.000000+00:00")
    assert (tool["kind"], tool["tool_name"], tool["name"]) == ("tool_call", "find", "tools/call find")
    assert "parent_span_id" not in tool
    counts = exporter.counts
    assert (counts.exported, counts.sent, counts.waiting, counts.lost) == (2, 2, 0, 0)


def test_full_batch_does_not_wait(server: ScriptedServer, exporting: Exporting) -> None:
    exporter = exporting(interval_s=600.0, batch_size=3)
    for number in range(7):
        exporter.export(span(str(number)))
    deadline = time.monotonic() + 5
    while exporter.counts.sent < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [len(sent(hit)) for hit in server.hits] == [3, 3]
    assert exporter.flush(5)
    assert [one["tool_name"] for hit in server.hits for one in sent(hit)] == list("0123456")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_spans_are_sent_again_when_the_server_cannot_take_them(
    server: ScriptedServer, exporting: Exporting, status: int
) -> None:
    server.script = [Scripted(status, {"code": "c"}), Scripted(status, b"<html>"), taken(1)]
    exporter = exporting()
    exporter.export(span())
    assert exporter.flush(5)
    assert (len(server.hits), exporter.counts.sent, exporter.counts.lost) == (3, 1, 0)
    assert len({hit.body for hit in server.hits}) == 1


@pytest.mark.parametrize("lost", [DROP, Scripted(how="cut"), Scripted(how="hang up")])
def test_spans_are_sent_again_when_the_answer_is_lost(
    server: ScriptedServer, exporting: Exporting, lost: Scripted
) -> None:
    server.script = [lost]
    exporter = exporting()
    exporter.export(span())
    assert exporter.flush(5)
    assert exporter.counts.sent == 1


def test_spans_are_sent_again_when_the_server_is_silent(server: ScriptedServer, exporting: Exporting) -> None:
    server.script = [Scripted(how="silent")]
    exporter = exporting(timeout_s=0.2)
    exporter.export(span())
    assert exporter.flush(5)
    assert (len(server.hits), exporter.counts.sent) == (2, 1)


def test_pause_is_not_shorter_than_the_server_asks(server: ScriptedServer, exporting: Exporting) -> None:
    server.script = [Scripted(429, {}, {"Retry-After": "1"}), taken(1)]
    exporter = exporting()
    began = time.monotonic()
    exporter.export(span())
    assert exporter.flush(0.2) is False
    assert len(server.hits) == 1
    assert exporter.flush(5)
    assert time.monotonic() - began >= 1.0


def test_pause_grows_with_full_jitter(exporting: Exporting, nobody: str) -> None:
    asked: list[float] = []
    chances = iter([0.5, 0.0, 1.0])
    exporter = exporting(nobody, retry_for_s=1.0, random=lambda: next(chances))
    pause = exporter._pause

    def note(told_s: float, backoff_s: float, give_up_at: float) -> bool:
        asked.append(backoff_s)
        return pause(0.0, 0.0, give_up_at) and len(asked) < 3

    exporter._pause = note  # type: ignore[method-assign]  # the pauses are looked at, and not waited for
    exporter.export(span())
    assert exporter.flush(5)
    assert asked == [0.25, 0.0, 2.0]
    assert exporter.counts.dropped == {"not_delivered": 1}


def test_batch_that_is_too_large_is_halved(server: ScriptedServer, exporting: Exporting) -> None:
    exporter = exporting(interval_s=600.0)
    server.script = [Scripted(413), taken(2), Scripted(413), taken(1), Scripted(413)]
    for name in "abcd":
        exporter.export(span(name))
    assert exporter.flush(5)
    assert ["".join(one["tool_name"] for one in sent(hit)) for hit in server.hits] == ["abcd", "ab", "cd", "c", "d"]
    assert (exporter.counts.sent, exporter.counts.dropped) == (3, {"too_large": 1})


def test_refused_spans_are_counted_and_named_once(
    server: ScriptedServer, exporting: Exporting, caplog: pytest.LogCaptureFixture
) -> None:
    refused = [{"index": 0, "code": "span_time", "detail": "D"}] * 2
    server.script = [taken(3, "span_time"), Scripted(422, {"code": "spans_refused", "rejected": refused})]
    exporter = exporting(batch_size=3, interval_s=600.0)
    for _ in range(5):
        exporter.export(span())
    assert exporter.flush(5)
    assert (exporter.counts.sent, exporter.counts.dropped) == (2, {"refused": 3})
    assert [record.getMessage() for record in caplog.records] == ["the observatory refused spans: span_time (1)"]


@pytest.mark.parametrize(
    ("status", "reason", "why"),
    [(401, "not_authenticated", "expired or revoked"), (403, "not_permitted", "the scope telemetry:write")],
)
def test_refused_key_ends_it(
    server: ScriptedServer, exporting: Exporting, caplog: pytest.LogCaptureFixture, status: int, reason: str, why: str
) -> None:
    server.otherwise = Scripted(status, {"code": "c", "detail": KEY})
    exporter = exporting(batch_size=2)
    for _ in range(20):
        exporter.export(span())
    assert exporter.flush(5)
    exporter.export(span())
    assert len(server.hits) == 1
    assert (exporter.counts.sent, exporter.counts.waiting, exporter.counts.dropped) == (0, 0, {reason: 21})
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert why in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("status", [302, 400, 404, 415])
def test_other_refusals_lose_the_batch_and_go_on(server: ScriptedServer, exporting: Exporting, status: int) -> None:
    server.script = [Scripted(status, {})]
    exporter = exporting(batch_size=1)
    exporter.export(span())
    exporter.export(span())
    assert exporter.flush(5)
    assert (exporter.counts.sent, exporter.counts.dropped) == (1, {f"http_{status}": 1})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"rejected": 7}', b'{"rejected": [7]}'])
def test_success_that_cannot_be_read_is_a_success(server: ScriptedServer, exporting: Exporting, body: bytes) -> None:
    server.otherwise = Scripted(body=body)
    exporter = exporting()
    exporter.export(span())
    assert exporter.flush(5)
    assert exporter.counts.sent + exporter.counts.lost == 1


def test_caller_does_not_notice_when_the_server_is_down_for_the_whole_run(exporting: Exporting, nobody: str) -> None:
    exporter = exporting(nobody, queue_size=100, batch_size=10, exit_timeout_s=0.3)
    interceptor = instrument("shop", exporter)
    interceptor.prepare("m")
    slowest = 0.0
    for number in range(1000):
        began = time.perf_counter()
        assert interceptor.record_model_call("m", "p", response=number) == number
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 1.0  # no connection, timeout or pause is waited for
    assert interceptor.errors == 0
    exporter.close()
    counts = exporter.counts
    assert (counts.exported, counts.sent, counts.waiting, counts.lost) == (1000, 0, 0, 1000)
    assert counts.dropped.keys() <= {"queue_full", "not_delivered", "closed"}
    assert counts.dropped["queue_full"] >= 890


def test_spans_that_waited_are_sent_when_the_server_comes_back(server: ScriptedServer, exporting: Exporting) -> None:
    server.script = [DROP] * 5
    exporter = exporting(batch_size=10)
    for _ in range(100):
        exporter.export(span())
    assert exporter.flush(10)
    assert (exporter.counts.sent, exporter.counts.lost) == (100, 0)


def test_close_sends_what_waits_and_drops_what_comes_later(server: ScriptedServer, exporting: Exporting) -> None:
    exporter = exporting(interval_s=600.0)
    exporter.export(span())
    exporter.close()
    exporter.export(span())
    exporter.close()
    assert (exporter.counts.sent, exporter.counts.dropped) == (1, {"closed": 1})


def test_close_does_not_wait_longer_than_its_time(server: ScriptedServer, exporting: Exporting) -> None:
    server.otherwise = Scripted(how="silent")
    exporter = exporting(timeout_s=30.0, exit_timeout_s=0.3)
    exporter.export(span())
    began = time.monotonic()
    exporter.close()
    assert time.monotonic() - began < 5


def test_threads_lose_nothing(server: ScriptedServer, exporting: Exporting) -> None:
    exporter = exporting(batch_size=100)
    together = threading.Barrier(4)

    def work() -> None:
        together.wait(5)
        for _ in range(500):
            exporter.export(span())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert exporter.flush(10)
    assert exporter.counts.sent == 2000
    assert len({one["span_id"] for hit in server.hits for one in sent(hit)}) == 2000


def test_values_that_nobody_could_read_are_left_out(server: ScriptedServer, exporting: Exporting) -> None:
    exporter = exporting()
    odd: dict[str, Any] = {"a\x00": "x\ud800" + "y" * 999, "b": float("inf"), "c": [1], "d": True}
    exporter.export(span("n" * 500, confidence=float("nan"), attributes=odd))
    assert exporter.flush(5)
    (one,) = sent(server.hits[0])
    assert len(one["tool_name"]) == 64
    assert "confidence" not in one
    assert one["attributes"] == {"a": "x?" + "y" * 198, "d": True}


def test_span_that_cannot_be_written_takes_no_other_with_it(server: ScriptedServer, exporting: Exporting) -> None:
    exporter = exporting(interval_s=600.0)
    broken: Any = span("c")
    broken.start_time = "yesterday"
    for one in (span("a"), span("b"), broken, span("d")):
        exporter.export(one)
    assert exporter.flush(5)
    assert sorted(one["tool_name"] for hit in server.hits for one in sent(hit)) == ["a", "b", "d"]
    assert (exporter.counts.sent, exporter.counts.dropped) == (3, {"failed": 1})


@pytest.mark.parametrize(
    ("url", "key", "options"),
    [
        ("ftp://x", "k", {}),
        ("http://a:b@x", "k", {}),
        ("http://x", "k\r\nX: 1", {}),
        ("http://x", "k", {"batch_size": 1001}),
        ("http://x", "k", {"batch_size": 0}),
        ("http://x", "k", {"queue_size": 10}),
    ],
)
def test_exporter_that_cannot_work_is_refused(url: str, key: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"base_url|api_key|batch_size"):
        HttpExporter(url, key, **options)


def test_key_is_not_shown(exporting: Exporting, server: ScriptedServer) -> None:
    assert repr(exporting()) == f"HttpExporter('{server.url}')"
