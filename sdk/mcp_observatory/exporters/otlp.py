"""Spans to any OpenTelemetry backend, named as its conventions for MCP and GenAI say. Needs the extra `otlp`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Unpack

from mcp_observatory.exporters.background import BackgroundExporter
from mcp_observatory.exporters.options import Options
from mcp_observatory.trace_context import TraceContext
from mcp_observatory.wire import record

try:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, Tracer, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
    from opentelemetry.sdk.trace.id_generator import IdGenerator
except ImportError as missing:
    raise ImportError('OtlpExporter needs the OpenTelemetry SDK: pip install "mcp-observatory[otlp]"') from missing

# Our columns that the conventions have a name for; the others stand under our own prefix.
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "provider": "gen_ai.provider.name",
        "model": "gen_ai.request.model",
        "tool_name": "gen_ai.tool.name",
        "prompt_tokens": "gen_ai.usage.input_tokens",
        "completion_tokens": "gen_ai.usage.output_tokens",
        "error_type": "error.type",
        "session_id": "gen_ai.conversation.id",
    }
)
PREFIX = "mcp_observatory."
OPERATIONS: Mapping[str, str] = MappingProxyType({"tool_call": "execute_tool", "model_call": "chat"})
# What OpenTelemetry says of a span by itself.
_ELSEWHERE = frozenset(
    ["trace_id", "span_id", "parent_span_id", "name", "service", "start_time", "end_time", "attributes", "kind"]
)
_KINDS = {"tool_call": trace.SpanKind.SERVER, "model_call": trace.SpanKind.CLIENT}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _GivenIds(IdGenerator):
    """The ids of the span in hand. One thread uses it."""

    def __init__(self) -> None:
        self.span = TraceContext("")

    def generate_span_id(self) -> int:
        return int(self.span.span_id, 16)

    def generate_trace_id(self) -> int:
        return int(self.span.trace_id, 16)


class OtlpExporter(BackgroundExporter):
    """Through a span exporter, or through a tracer provider with its own sampler, resource and processors.

    With a span exporter each service is a resource of its own. Ids stay as they are, where the provider is the SDK's.
    """

    def __init__(
        self,
        span_exporter: SpanExporter | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
        batch_size: int = 500,
        **options: Unpack[Options],
    ) -> None:
        if (span_exporter is None) == (tracer_provider is None):
            raise ValueError("give a span_exporter or a tracer_provider, one of the two")
        self._given = tracer_provider
        self._processor: SpanProcessor | None = None if span_exporter is None else BatchSpanProcessor(span_exporter)
        self._tracers: dict[str, trace.Tracer] = {}
        self._ids = _GivenIds()
        super().__init__(batch_size=batch_size, **options)

    def send(self, spans: Sequence[TraceContext]) -> int:
        return sum(not self._emitted(span) for span in spans)

    def flush(self, timeout: float = 5.0) -> bool:
        return super().flush(timeout) and self._flush_behind(timeout)

    def disconnect(self) -> None:
        """A given provider is its owner's, and only flushed."""
        self._flush_behind(self.time_left_s(30.0))
        if self._processor is not None:
            self._processor.shutdown()

    def _flush_behind(self, timeout: float) -> bool:
        behind = self._processor or self._given
        return behind is None or bool(behind.force_flush(round(timeout * 1000)))

    def _emitted(self, span: TraceContext) -> bool:
        """False where the span is filled with what it can't hold."""
        try:
            self._emit(span)
        except Exception as error:
            self.warn_once("failed", "a span was lost: %s in the exporter", type(error).__name__)
            return False
        return True

    def _emit(self, span: TraceContext) -> None:
        self._ids.span = span
        found = record(span)
        opened = self._tracer(span.service).start_span(
            span.title,
            _parent(span),
            _KINDS.get(span.kind, trace.SpanKind.INTERNAL),
            attributes(span, found),
            start_time=_nanoseconds(found["start_time"]),
        )
        if span.error_type:
            opened.set_status(trace.StatusCode.ERROR)
        opened.end(_nanoseconds(found["end_time"]))

    def _tracer(self, service: str) -> trace.Tracer:
        name = "" if self._given is not None else service
        if name not in self._tracers:
            provider = self._given or self._provider_of(service)
            tracer = provider.get_tracer("mcp_observatory")
            if isinstance(tracer, Tracer):
                # This tracer, which only we have, gives the ids that parents and children already know.
                tracer.id_generator = self._ids
            self._tracers[name] = tracer
        return self._tracers[name]

    def _provider_of(self, service: str) -> TracerProvider:
        provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
        if self._processor is not None:
            provider.add_span_processor(self._processor)
        return provider


def attributes(span: TraceContext, found: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Every column that says something, by its name in the conventions or under our prefix."""
    said: dict[str, str | int | float | bool] = dict(found["attributes"])
    for column, value in found.items():
        if column in _ELSEWHERE or value is None or (value is False and column not in _MEANINGFUL_WHEN_FALSE):
            continue
        said[NAMES.get(column, PREFIX + column)] = format(value, "f") if column == "cost_usd" else value
    if span.kind in OPERATIONS:
        said["gen_ai.operation.name"] = OPERATIONS[span.kind]
    if span.kind == "tool_call":
        said["mcp.method.name"] = "tools/call"
    return said


# None, there was none; False, there was one and the answer is no.
_MEANINGFUL_WHEN_FALSE = frozenset(["confidence_gate_blocked", "shadow_agreement", "golden_passed"])


def _parent(span: TraceContext) -> Any:
    """OpenTelemetry's context of the span above; an empty one for the first of a trace, whatever is current there."""
    if span.parent_span_id is None:
        return trace.set_span_in_context(trace.INVALID_SPAN)
    above = trace.SpanContext(
        int(span.trace_id, 16),
        int(span.parent_span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(span.trace_flags),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(above))


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000
