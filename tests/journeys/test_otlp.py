"""OTLP over HTTP: a real OpenTelemetry SDK exports to a real server, and so do we."""

import datetime as dt
import gzip
import http.client
import json
import secrets
import time
from contextlib import closing

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

from telemetry.models import Span, SpanExport
from telemetry.otel.export import NAME, send_spans_on
from tests.serving import serving

PATH = "/v1/traces"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
SECRET = "sk-abcdefghijklmnopqrstuvwxyz0123"


def received():
    return Span.objects.filter(origin="otlp")


def send(caller, body, media_type=PROTOBUF, **headers):
    sent = {"X-API-Key": caller.secret} | {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.http.post(PATH, body, content_type=media_type, headers=sent)


def request_with(*spans, resource=(("service.name", "example"),)):
    """An ExportTraceServiceRequest; each span is its fields, with attributes as a mapping."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for key, value in resource:
        group.resource.attributes.add(key=key).value.string_value = value
    scope = group.scope_spans.add()
    for fields in spans:
        now = time.time_ns()
        attributes = fields.pop("attributes", {})
        span = scope.spans.add(
            **{
                "trace_id": secrets.token_bytes(16),
                "span_id": secrets.token_bytes(8),
                "name": "work",
                "start_time_unix_nano": now - 10**9,
                "end_time_unix_nano": now,
            }
            | fields
        )
        for key, value in attributes.items():
            setattr(span.attributes.add(key=key).value, _kind(value), value)
    return request


def _kind(value):
    return {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}[type(value)]


def as_json(request):
    """The same request as an SDK writes it in JSON: ids in hex, 64-bit numbers as text."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [_pair(a) for a in group.resource.attributes]},
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": span.trace_id.hex().upper(),
                                "spanId": span.span_id.hex(),
                                "parentSpanId": span.parent_span_id.hex(),
                                "name": span.name,
                                "startTimeUnixNano": str(span.start_time_unix_nano),
                                "endTimeUnixNano": span.end_time_unix_nano,
                                "attributes": [_pair(a) for a in span.attributes],
                                "status": {"code": span.status.code},
                            }
                            for span in scope.spans
                        ]
                    }
                    for scope in group.scope_spans
                ],
            }
            for group in request.resource_spans
        ]
    }


def _pair(attribute):
    names = {"string_value": "stringValue", "int_value": "intValue", "double_value": "doubleValue"}
    held = attribute.value.WhichOneof("value")
    value = getattr(attribute.value, held)
    return {"key": attribute.key, "value": {names.get(held, "boolValue"): str(value) if held == "int_value" else value}}


@pytest.fixture
def caller(world):
    return world.caller(world.allowing())


MODEL_CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
    "gen_ai.input.messages": "what is my password",
    "mcp_observatory.confidence": 0.5,
    "gen_ai.conversation.id": "run-1",
}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_a_real_sdk_exports_here(caller, tmp_path, compression):
    with serving(tmp_path) as server:
        headers = {"X-API-Key": caller.secret}
        exporter = OTLPSpanExporter(f"{server.url}{PATH}", headers=headers, compression=compression)
        outcomes = []
        export = exporter.export
        exporter.export = lambda spans: outcomes.append(export(spans)) or outcomes[-1]
        provider = TracerProvider(resource=Resource.create({"service.name": "example-agent"}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("test")
        with tracer.start_as_current_span("run") as run:
            with tracer.start_as_current_span("chat gpt-4o", kind=SpanKind.CLIENT, attributes=MODEL_CALL):
                pass
            tool = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "search"}
            with tracer.start_as_current_span("tools/call search", attributes=tool) as call:
                call.set_status(Status(StatusCode.ERROR, SECRET))
        provider.shutdown()
    assert outcomes == [SpanExportResult.SUCCESS] * 3
    kept = {s.name: s for s in received()}
    chat, call_row, root = kept["chat gpt-4o"], kept["tools/call search"], kept["run"]
    assert {s.trace_id for s in kept.values()} == {f"{run.get_span_context().trace_id:032x}"}
    assert {chat.parent_span_id, call_row.parent_span_id} == {root.span_id}
    assert (chat.kind, chat.service, chat.provider, chat.model) == ("model_call", "example-agent", "openai", "gpt-4o")
    assert (chat.prompt_tokens, chat.completion_tokens, str(chat.cost_usd)) == (1000, 100, "0.00350000")
    assert (chat.confidence, chat.session_id, chat.decision) == (0.5, "run-1", "ok")
    assert chat.attributes == {"gen_ai.operation.name": "chat", "gen_ai.response.model": "gpt-4o-2024-08-06"}
    assert (call_row.kind, call_row.tool_name, call_row.error_type) == ("tool_call", "search", "_OTHER")
    assert call_row.decision == "error"
    assert root.kind == "other"


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_our_own_spans_arrive_at_another_instance_as_they_are_here(caller, tmp_path, settings):
    before = timezone.now() - dt.timedelta(minutes=5)
    SpanExport.objects.create(name=NAME, recorded_to=before)
    caller.call("search_customer", {"query": "acme"})
    caller.call("search_customer", {"query": 1})
    caller.call("send_message", {"channel": "c", "message": SECRET})
    caller.call("update_customer_status", {"customer_id": caller.key.pk, "new_status": "x"})
    own = Span.objects.filter(origin="pipeline")
    own.update(recorded_at=timezone.now() - dt.timedelta(minutes=1), model="m", cost_usd="0.00000001", confidence=0)
    with serving(tmp_path) as server:
        settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        settings.OTLP_ENDPOINT, settings.OTLP_HEADERS = server.url, f"X-API-Key={caller.secret}"
        assert send_spans_on() == 4
        assert send_spans_on() == 0
    place = SpanExport.objects.get(name=NAME)
    assert (place.sent, place.refused, place.last_error, place.leased_until) == (4, 0, "", None)
    same = ("trace_id", "span_id", "parent_span_id", "kind", "tool_name", "start_time", "end_time", "model")
    same += ("cost_usd", "confidence", "retries", "fallback_used", "prompt_tokens", "session_id")
    assert set(received().values_list(*same)) == set(own.values_list(*same))
    for theirs in received():
        ours = own.get(span_id=theirs.span_id)
        assert theirs.name == f"tools/call {ours.tool_name}"
        assert theirs.attributes["mcp_observatory.decision"] == ours.decision
        assert theirs.attributes.get("mcp_observatory.reason") == ours.reason
        assert theirs.attributes.get("mcp_observatory.agent") == "billing-agent"
        failed = ours.decision == "error" or ours.decision.startswith("denied")
        assert (theirs.decision, bool(theirs.error_type)) == ("error" if failed else "ok", failed)
        assert (theirs.service, theirs.policy, theirs.rule) == ("mcp-observatory", "", "")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_real_server_reads_chunks_without_a_length(caller, tmp_path):
    """As the exporters of Java and JavaScript send what they zip."""
    body = gzip.compress(request_with({}, {}).SerializeToString())
    with serving(tmp_path) as server:
        headers = {"X-API-Key": caller.secret, "Content-Type": PROTOBUF, "Content-Encoding": "gzip"}
        for parts, status in (([body[:10], body[10:]], 200), ([b"\0" * 1024 * 1024] * 6, 413)):
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
                connection.request("POST", PATH, iter(parts), headers, encode_chunked=True)
                with closing(connection.getresponse()) as answer:
                    assert answer.status == status
    assert received().count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_both_encodings_are_read_alike_and_answered_in_kind(caller, media_type):
    request = request_with(
        {"name": "chat", "attributes": MODEL_CALL | {"mcp_observatory.fallback_used": True}},
        {"name": "execute_tool search", "attributes": {"gen_ai.operation.name": "execute_tool"}},
        {"name": "old", "start_time_unix_nano": 1},
        {"name": "bad", "trace_id": b"\0" * 16},
        {"name": "costly", "attributes": {"mcp_observatory.cost_usd": 1e9}},
        {"name": "typed", "attributes": {"gen_ai.usage.input_tokens": "many"}},
    )
    body = request.SerializeToString() if media_type == PROTOBUF else json.dumps(as_json(request)).encode()
    answer = send(caller, body, media_type)
    assert (answer.status_code, answer["Content-Type"]) == (200, media_type)
    if media_type == PROTOBUF:
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
        rejected, message = partial.rejected_spans, partial.error_message
    else:
        partial = answer.json()["partialSuccess"]
        rejected, message = int(partial["rejectedSpans"]), partial["errorMessage"]
    assert rejected == 4
    for field in ("start_time", "trace_id", "cost_usd", "prompt_tokens"):
        assert field in message
    chat, tool = received().get(name="chat"), received().get(name="execute_tool search")
    assert (chat.kind, chat.prompt_tokens, chat.fallback_used, chat.confidence) == ("model_call", 1000, True, 0.5)
    assert (tool.kind, tool.tool_name) == ("tool_call", "search")
    again = send(caller, gzip.compress(body), media_type, Content_Encoding="gzip")
    assert again.status_code == 200
    assert received().count() == 2


@pytest.mark.django_db
def test_what_is_refused_is_a_status_to_protobuf_and_a_problem_to_json(caller, settings):
    bad = request_with({"trace_id": b""})
    cases = [
        (b"\xff\xff", b"nonsense", {}, 400, "otlp_not_readable"),
        (b"", b"{}", {"X_API_Key": "wrong"}, 401, "unauthenticated"),
        (bad.SerializeToString(), json.dumps(as_json(bad)), {}, 422, "spans_refused"),
        (b"x", b"x", {"Content_Encoding": "gzip"}, 400, "otlp_not_readable"),
        (b"\0" * (4 * 1024 * 1024 + 1), b" " * (4 * 1024 * 1024 + 1), {}, 413, "too_large"),
    ]
    for protobuf, text, headers, status, code in cases:
        answer = send(caller, protobuf, **headers)
        if protobuf:  # Django's test client names no type for no body
            assert (answer.status_code, answer["Content-Type"]) == (status, PROTOBUF)
            assert code.encode() in answer.content
        assert (send(caller, text, JSON, **headers).json()["code"]) == code
    settings.SPANS_PER_MINUTE = 0
    answer = send(caller, request_with({}).SerializeToString())
    assert (answer.status_code, answer["Content-Type"]) == (429, PROTOBUF)
    assert int(answer["Retry-After"]) >= 1
    assert send(caller, b"x", "text/plain").status_code == 415
    assert not received().exists()


@pytest.mark.django_db
def test_what_a_reporter_says_of_decisions_is_beside_the_columns(caller):
    said = {"mcp_observatory.decision": "denied_policy", "mcp_observatory.rule": "r", "mcp_observatory.agent": "bob"}
    answer = send(caller, request_with({"attributes": said}).SerializeToString())
    assert answer.status_code == 200
    [row] = received()
    assert (row.decision, row.rule, row.agent) == ("ok", "", "billing-agent")
    assert row.attributes == said


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"mcp.method.name": "tools/call"}, "tool_call"),
        ({"gen_ai.operation.name": "execute_tool"}, "tool_call"),
        ({"gen_ai.operation.name": "embeddings"}, "model_call"),
        ({"gen_ai.operation.name": "invoke_agent"}, "other"),
        ({"mcp.method.name": "tools/list"}, "other"),
        # another installation's request to its upstream: the call itself it reports besides
        ({"mcp_observatory.kind": "upstream", "mcp.method.name": "tools/call"}, "other"),
        ({"mcp_observatory.kind": "model_call"}, "model_call"),
    ],
)
def test_a_span_is_of_the_kind_that_its_attributes_say(caller, said, kind):
    assert send(caller, request_with({"attributes": said}).SerializeToString()).status_code == 200
    assert received().get().kind == kind


@pytest.mark.django_db
def test_a_service_of_our_name_and_none(caller):
    ours = request_with({}, resource=[("service.name", "observatory")])
    assert send(caller, ours.SerializeToString()).status_code == 422
    send(caller, request_with({}, resource=[]).SerializeToString())
    assert received().get().service == "unknown_service"


@pytest.mark.django_db
def test_a_request_of_millions_of_empty_spans_is_refused_before_it_is_read(caller):
    def message(number, body):
        length, out = len(body), bytearray()
        while length > 0x7F:
            out.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes([number << 3 | 2, *out, length]) + body

    for body in (
        message(1, message(2, b"\x12\0" * 2_000_000)),
        b"\x0a\0" * 2_000_000,
        message(1, b"\x12\0" * 2_000_000),
    ):
        assert send(caller, body).status_code == 413
    many = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{}] * 10_001}]}]})
    assert send(caller, many, JSON).status_code == 413


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "7",
        '{"resourceSpans": {}}',
        '{"resourceSpans": [[]]}',
        '{"resourceSpans": [{"scopeSpans": [{"spans": [1]}]}]}',
        '{"resourceSpans": [{"resource": [1]}]}',
        '{"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": 1}]}}]}',
        '{"resourceSpans": NaN}',
        "[" * 5000,
        '{"a": ' + "1" * 5000 + "}",
        b"\xff\xfe",
    ],
)
def test_json_of_another_shape_is_not_readable(caller, body):
    assert send(caller, body, JSON).json()["code"] == "otlp_not_readable"


@pytest.mark.django_db
def test_whatever_is_sent_is_answered(caller):
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=10), inner, max_size=2),
        max_leaves=4,
    )
    good = as_json(request_with({"attributes": MODEL_CALL}))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    keys = [a["key"] for a in good["attributes"]]
    pairs = st.fixed_dictionaries(
        {
            "key": st.sampled_from(keys) | values,
            "value": st.dictionaries(st.sampled_from(["stringValue", "intValue", "doubleValue", "boolValue"]), values),
        }
    )
    spans = st.dictionaries(st.sampled_from(sorted(good)), values, max_size=3).map(lambda said: good | said)
    spans = st.tuples(spans, st.lists(pairs, max_size=3)).map(lambda two: two[0] | {"attributes": two[1]})

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(found=st.lists(spans | values, max_size=3), raw=st.binary(max_size=60))
    def ask(found, raw):
        body = {"resourceSpans": [{"scopeSpans": [{"spans": found}]}]}
        assert send(caller, json.dumps(body), JSON).status_code in (200, 400, 422)
        assert send(caller, raw).status_code in (200, 400, 415, 422)

    ask()
