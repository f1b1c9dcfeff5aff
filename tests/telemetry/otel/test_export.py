"""Our own spans are sent on: in order, at least once, by one worker at a time, whatever the collector answers."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import signal
import subprocess
import sys
import time

import pytest
from django.utils import timezone
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from observatory.checks import spans_can_be_sent_on
from telemetry.models import Span, SpanExport
from telemetry.models.span import span_row_id
from telemetry.otel import export
from telemetry.otel.export import NAME, collector_headers, send_spans_on
from telemetry.tasks import export_spans
from tests.races.threads import at_once
from tests.serving import database_url
from tests.telemetry.egress.peer import sends, sends_for_ever

pytestmark = pytest.mark.django_db(transaction=True)
PARTIAL = ExportTraceServiceResponse()
PARTIAL.partial_success.rejected_spans = 2
PARTIAL.partial_success.error_message = "too old; sk-abcdefghijklmnopqrstuvwxyz0123"


def answering(status, body=b"", *headers):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return sends("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def recorded(count=1, *, ago_s=60, origin="pipeline", **fields):
    """So many spans of ours, recorded so long ago."""
    at = timezone.now() - dt.timedelta(seconds=ago_s)
    rows = []
    for _ in range(count):
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        row = {"trace_id": trace_id, "span_id": span_id, "start_time": at, "end_time": at, "decision": "ok"}
        rows.append(Span(id=span_row_id(trace_id, span_id), origin=origin, recorded_at=at, **row | fields))
    return Span.objects.bulk_create(rows)


def spans_in(request):
    """What one request to a listener held."""
    message = ExportTraceServiceRequest.FromString(request.partition(b"\r\n\r\n")[2])
    return [span for group in message.resource_spans for scope in group.scope_spans for span in scope.spans]


def ids_in(listener):
    return [span.span_id.hex() for request in listener.requests for span in spans_in(request)]


def place():
    return SpanExport.objects.get(name=NAME)


@pytest.fixture
def collector(listen, opened, settings):
    """A collector that takes everything, and a place an hour back."""
    SpanExport.objects.create(name=NAME, recorded_to=timezone.now() - dt.timedelta(hours=1))

    def start(answer=None):
        listener = listen(answer or answering(200))
        settings.OTLP_ENDPOINT = listener.url("")
        return listener

    return start


def test_nothing_is_sent_without_a_collector(settings):
    settings.OTLP_ENDPOINT = ""
    recorded()
    assert export_spans() == 0
    assert not SpanExport.objects.exists()


def test_it_begins_with_what_is_recorded_once_it_is_set_up(listen, opened, settings):
    settings.OTLP_ENDPOINT = listen(answering(200)).url()
    recorded()
    assert send_spans_on() == 0
    assert place().recorded_to > timezone.now() - dt.timedelta(seconds=20)


def test_all_go_once_in_order_and_in_batches(collector, monkeypatch, settings):
    monkeypatch.setattr(export, "BATCH", 3)
    settings.OTLP_HEADERS = "Authorization=Bearer%20abc, X-Team = blue"
    listener = collector()
    old, same_moment = recorded(1, ago_s=120), recorded(7, ago_s=90)
    recorded(1, origin="sdk")
    young = recorded(1, ago_s=10)
    assert send_spans_on() == 8
    assert send_spans_on() == 0
    assert ids_in(listener) == [s.span_id for s in [*old, *sorted(same_moment, key=lambda s: s.id)]]
    assert [len(spans_in(request)) for request in listener.requests] == [3, 3, 2]
    for said in (b"POST /v1/traces", b"Authorization: Bearer abc", b"X-Team: blue", b"application/x-protobuf"):
        assert said in listener.requests[0]
    Span.objects.filter(span_id=young[0].span_id).update(recorded_at=timezone.now() - dt.timedelta(seconds=31))
    assert send_spans_on() == 1, "the young one had to wait until its transaction had surely ended"
    assert (place().sent, place().refused, place().last_error) == (9, 0, "")


def test_only_labels_and_numbers_are_sent(collector):
    listener = collector()
    secret = {"gen_ai.input.messages": "my password", "http.response.status_code": 200}
    recorded(access_subject="user@example.com", attributes=secret, reason="denied_policy", decision="denied_policy")
    send_spans_on()
    [span] = spans_in(listener.requests[0])
    held = {a.key: a.value for a in span.attributes}
    assert held["http.response.status_code"].int_value == 200
    assert held["error.type"].string_value == held["mcp_observatory.reason"].string_value == "denied_policy"
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert b"password" not in listener.requests[0]
    assert b"user@example.com" not in listener.requests[0]


def test_what_the_collector_will_not_take_is_counted(collector):
    collector(answering(200, PARTIAL.SerializeToString()))
    recorded(5)
    assert send_spans_on() == 5
    assert (place().sent, place().refused) == (3, 2)
    assert place().last_error == "too old; [masked api-key]"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_that_is_refused_is_counted_and_not_sent_again(collector, status):
    listener = collector(answering(status))
    recorded(2)
    assert send_spans_on() == 2
    assert (place().sent, place().refused, str(status) in place().last_error) == (0, 2, True)
    assert send_spans_on() == 0
    assert len(listener.requests) == 1


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (answering(429, b"", "Retry-After: 90"), 90),
        (answering(503, b"", "Retry-After: 9999999"), 3600),
        (answering(502), 30),
        (answering(504, b"", "Retry-After: Fri, 31 Dec 2027 23:59:59 GMT"), 30),
        (answering(401), 30),
        (answering(404), 30),
        (answering(302, b"", "Location: http://127.0.0.1/"), 30),
        (sends(b"nonsense", close=True), 30),
    ],
)
def test_until_the_collector_answers_nothing_moves_and_nobody_hurries(collector, answer, wait_s):
    listener = collector(answer)
    recorded(2)
    began = place()
    assert send_spans_on() == 0
    waits = place()
    assert (waits.recorded_to, waits.sent, waits.refused, waits.leased_until) == (began.recorded_to, 0, 0, None)
    assert waits.last_error
    assert abs((waits.retry_at - timezone.now()).total_seconds() - wait_s) < 20
    assert send_spans_on() == 0, "not before it is due"
    assert len(listener.requests) == 1
    SpanExport.objects.update(retry_at=timezone.now())
    listener.answer = answering(200)
    assert send_spans_on() == 2
    assert (place().sent, place().retry_at) == (2, None)


@pytest.mark.parametrize("headers", ["nonsense", "=x", "Host=elsewhere", "A=b%0d%0aC: d"])
def test_headers_that_are_none_are_an_error_to_see(collector, settings, headers):
    listener = collector()
    settings.OTLP_HEADERS = headers
    recorded()
    assert send_spans_on() == 0
    assert place().last_error
    assert listener.requests == []


def test_headers_are_read_as_opentelemetry_writes_them(settings):
    settings.OTLP_HEADERS = "a=b,c=d%2Ce,,f=g=h,"
    assert collector_headers() == {"a": "b", "c": "d,e", "f": "g=h"}


def test_what_can_not_work_is_said_before_it_is_tried(settings):
    settings.OTLP_ENDPOINT, settings.OTLP_HEADERS = "ftp://collector", "nonsense"
    assert [found.id for found in spans_can_be_sent_on()] == ["observatory.E013", "observatory.E014"]
    settings.OTLP_ENDPOINT, settings.OTLP_HEADERS = "https://collector.example.com:4318", "a=b"
    assert spans_can_be_sent_on() == []


def test_a_collector_in_a_private_network_must_be_allowed(listen, closed, settings):
    listener = listen(answering(200))
    settings.OTLP_ENDPOINT = listener.url("")
    SpanExport.objects.create(name=NAME, recorded_to=timezone.now() - dt.timedelta(hours=1))
    recorded()
    assert send_spans_on() == 0
    assert listener.accepted == 0
    assert place().last_error


@pytest.mark.race
def test_one_worker_sends_at_a_time(collector):
    listener = collector(sends(b"HTTP/1.1 200 X\r\n", b"Content-Length: 0\r\n\r\n", every_s=0.2))
    recorded(4)
    assert sorted(at_once(6, lambda n: send_spans_on())) == [0, 0, 0, 0, 0, 4]
    assert len(ids_in(listener)) == 4


def test_a_worker_whose_lease_ran_out_moves_nothing(collector):
    """It hangs, another one goes on, and its late answer counts for nothing."""
    collector()
    spans = recorded(2)
    late = export._lease()
    SpanExport.objects.update(leased_until=timezone.now() - dt.timedelta(seconds=1))
    assert send_spans_on() == 2
    assert export._move(late, spans, 0, "") is False
    export._failed(late, "late", 30)
    assert (place().sent, place().retry_at) == (2, None)


@pytest.mark.slow
@pytest.mark.race
def test_a_worker_that_is_killed_while_it_waits_for_the_answer_loses_nothing(collector, settings):
    listener = collector(sends_for_ever(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", every_s=0.1))
    spans = recorded(3)
    began = place().recorded_to
    code = "from telemetry.otel.export import send_spans_on; send_spans_on()"
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "OTEL_EXPORTER_OTLP_ENDPOINT": settings.OTLP_ENDPOINT,
        "OBSERVATORY_EGRESS_ALLOW": "127.0.0.0/8",
    }
    worker = subprocess.Popen([sys.executable, "manage.py", "shell", "-v0", "-c", code], env=environment)
    deadline = time.monotonic() + 60
    while not listener.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(30)
    assert (place().recorded_to, place().sent) == (began, 0)
    listener.answer = answering(200)
    assert send_spans_on() == 0, "its lease holds until it surely is dead"
    SpanExport.objects.update(leased_until=timezone.now() - dt.timedelta(seconds=1))
    assert send_spans_on() == 3
    wanted = sorted(s.span_id for s in spans)
    assert sorted(ids_in(listener)) == sorted(wanted * 2), "twice, and never not"
