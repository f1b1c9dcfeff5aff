"""What reporting spans costs: the whole way in by both doors, against plain bulk_create of the same rows."""

import json
import secrets
import statistics
import sys
import time

import pytest
from django.utils import timezone
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from telemetry.models import Span
from tests.telemetry.ingest.sample import span as sample

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.alone]
BATCH, ROUNDS = 1_000, 7
SAID = {
    "name": "chat gpt-4o",
    "provider": "openai",
    "model": "gpt-4o",
    "prompt_tokens": 1200,
    "completion_tokens": 85,
    "confidence": 0.64,
    "session_id": "run-1",
}
SAID_TO_OTLP = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 85,
    "gen_ai.conversation.id": "run-1",
}


def as_json():
    now = timezone.now()
    return json.dumps({"spans": [sample(now, **SAID) for _ in range(BATCH)]}).encode()


def as_otlp():
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "example-mcp"
    scope = group.scope_spans.add()
    now = time.time_ns()
    for _ in range(BATCH):
        span = scope.spans.add(
            trace_id=secrets.token_bytes(16),
            span_id=secrets.token_bytes(8),
            name="chat gpt-4o",
            start_time_unix_nano=now - 10**9,
            end_time_unix_nano=now,
        )
        for key, value in SAID_TO_OTLP.items():
            held = span.attributes.add(key=key).value
            if isinstance(value, int):
                held.int_value = value
            else:
                held.string_value = value
    return request.SerializeToString()


def per_second(prepare, act):
    """Spans a second, by the median of ROUNDS batches after one to warm up."""
    took = []
    for _ in range(ROUNDS + 1):
        prepared = prepare()
        began = time.perf_counter()
        act(prepared)
        took.append(time.perf_counter() - began)
    return BATCH / statistics.median(took[1:])


def test_reporting_spans_is_no_slower_than_bulk_create(world, settings, capsys):
    settings.SPANS_PER_MINUTE = 10**9
    caller = world.caller(world.allowing())

    def report(body):
        assert caller.post("/telemetry/spans", body).json()["accepted"] == BATCH

    def export(body):
        headers = {"X-API-Key": caller.secret}
        answer = caller.http.post("/v1/traces", body, content_type="application/x-protobuf", headers=headers)
        assert (answer.status_code, answer.content) == (200, b"")

    def rows():
        """Rows as the door wrote them, under new ids; each field set, which is the quickest way of bulk_create."""
        kept = list(Span.objects.filter(origin="sdk")[:BATCH])
        for row in kept:
            row.id, row.span_id = secrets.token_hex(16), secrets.token_hex(8)
        return kept

    rates = {
        "POST /telemetry/spans": per_second(as_json, report),
        "POST /v1/traces": per_second(as_otlp, export),
        "bulk_create": per_second(rows, Span.objects.bulk_create),
    }
    plain = rates["bulk_create"]
    with capsys.disabled():
        told = ", ".join(f"{what} {rate:,.0f} spans/s ({rate / plain:.1f})" for what, rate in rates.items())
        sys.stdout.write(f"\n{told}\n")
    assert min(rates.values()) > 0.5 * plain
