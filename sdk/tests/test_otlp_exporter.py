"""Spans through the real OpenTelemetry SDK: ids as they were, names of the conventions."""

import gzip
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from mcp_observatory import instrument
from mcp_observatory.exporters.otlp import OtlpExporter
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from scripted_server import Scripted, ScriptedServer

Exporting = Callable[..., OtlpExporter]


@pytest.fixture
def exporting() -> Iterator[Exporting]:
    made: list[OtlpExporter] = []

    def make(*given: Any, **options: Any) -> OtlpExporter:
        made.append(OtlpExporter(*given, interval_s=0.01, **options))
        return made[-1]

    yield make
    for exporter in made:
        exporter.close()


def report(exporter: OtlpExporter) -> tuple[Any, Any]:
    """A tool call that asked a model; the two spans as we have them."""
    interceptor = instrument("shop", exporter)
    with interceptor.span("tool_call", tool_name="find", parent=f"00-{'ab' * 16}-{'cd' * 8}-01") as tool:
        with interceptor.span("model_call", model="gpt-4o") as model:
            model.provider, model.prompt_tokens, model.completion_tokens = "openai", 3, 5
            model.shadow_agreement, model.confidence = False, 0.5
            model.attributes["gen_ai.usage.cache_read.input_tokens"] = 2
        tool.error_type = "tool_error"
    assert exporter.flush(10)
    return tool, model


def check(found: Sequence[ReadableSpan], tool: Any, model: Any) -> None:
    model_span, tool_span = found
    assert tool_span.context is not None
    assert model_span.context is not None
    assert model_span.parent is not None
    assert tool_span.parent is not None
    assert f"{tool_span.context.trace_id:032x}" == f"{model_span.context.trace_id:032x}" == "ab" * 16
    assert f"{tool_span.parent.span_id:016x}" == "cd" * 8
    assert f"{model_span.parent.span_id:016x}" == f"{tool_span.context.span_id:016x}" == tool.span_id
    assert f"{model_span.context.span_id:016x}" == model.span_id
    assert (tool_span.name, tool_span.kind) == ("tools/call find", trace.SpanKind.SERVER)
    assert (model_span.name, model_span.kind) == ("chat gpt-4o", trace.SpanKind.CLIENT)
    assert tool_span.status.status_code is trace.StatusCode.ERROR
    assert tool_span.status.description is None
    assert dict(tool_span.attributes or {}) == {
        "mcp.method.name": "tools/call",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find",
        "error.type": "tool_error",
        "mcp_observatory.retries": 0,
    }
    assert dict(model_span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "mcp_observatory.confidence": 0.5,
        "mcp_observatory.cost_usd": "0.00005500",
        "mcp_observatory.retries": 0,
        "mcp_observatory.shadow_agreement": False,
    }
    begins = tool.start_time.timestamp()
    assert abs((tool_span.start_time or 0) / 1e9 - begins) < 1e-5


def test_span_exporter_gets_the_spans_of_each_service(exporting: Exporting) -> None:
    behind = InMemorySpanExporter()
    exporter = exporting(behind)
    tool, model = report(exporter)
    found = behind.get_finished_spans()
    check(found, tool, model)
    assert [span.resource.attributes["service.name"] for span in found] == ["shop", "shop"]


def test_tracer_provider_keeps_its_resource_and_processors(exporting: Exporting) -> None:
    behind = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "theirs"}))
    provider.add_span_processor(SimpleSpanProcessor(behind))
    exporter = exporting(tracer_provider=provider)
    tool, model = report(exporter)
    found = behind.get_finished_spans()
    check(found, tool, model)
    assert {span.resource.attributes["service.name"] for span in found} == {"theirs"}
    exporter.close()
    provider.get_tracer("their own").start_span("x").end()
    assert len(behind.get_finished_spans()) == 3
    provider.shutdown()


def test_tracer_provider_keeps_its_sampler(exporting: Exporting) -> None:
    behind = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampling.ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(behind))
    report(exporting(tracer_provider=provider))
    assert behind.get_finished_spans() == ()
    provider.shutdown()


def test_first_span_of_a_trace_has_no_parent_whatever_is_current(exporting: Exporting) -> None:
    behind = InMemorySpanExporter()
    exporter = exporting(behind)
    with instrument("shop", exporter).span("tool_call", tool_name="t") as span:
        pass
    assert exporter.flush(10)
    (found,) = behind.get_finished_spans()
    assert found.parent is None
    assert found.context is not None
    assert f"{found.context.trace_id:032x}{found.context.span_id:016x}" == span.trace_id + span.span_id


def test_spans_reach_a_door_of_otlp_over_http(exporting: Exporting, server: ScriptedServer) -> None:
    server.otherwise = Scripted(body=b"", headers={"Content-Type": "application/x-protobuf"})
    tool, model = report(exporting(OTLPSpanExporter(f"{server.url}/v1/traces")))
    (hit,) = server.hits
    assert hit.path == "/v1/traces"
    body = gzip.decompress(hit.body) if hit.headers.get("content-encoding") == "gzip" else hit.body
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert spans["chat gpt-4o"].parent_span_id.hex() == tool.span_id
    assert spans["chat gpt-4o"].span_id.hex() == model.span_id


def test_exporter_behind_that_fails_never_reaches_the_caller(exporting: Exporting) -> None:
    class Broken(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            raise RuntimeError("no")

    exporter = exporting(Broken())
    interceptor = instrument("shop", exporter)
    interceptor.record_model_call("m", "p", response="r")
    exporter.flush(5)
    assert (interceptor.errors, exporter.counts.exported) == (0, 1)


@pytest.mark.parametrize("given", [{}, {"span_exporter": InMemorySpanExporter(), "tracer_provider": TracerProvider()}])
def test_one_of_two_is_given(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one of the two"):
        OtlpExporter(**given)
