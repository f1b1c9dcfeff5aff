"""The spans of an ExportTraceServiceRequest in protobuf. Source: OpenTelemetry Protocol 1.x, trace_service.proto."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from telemetry.ingest.bounds import MOST_OTLP_SPANS
from telemetry.otel.names import READ_ATTRIBUTES, READ_RESOURCE
from telemetry.otel.reported import Received, as_reported, from_nanoseconds
from telemetry.otel.wire import count_below

# Where spans stand: resource_spans, in it scope_spans, in it spans. Each field's number in its message.
_PATH = (1, 2, 2)
_SCALARS = frozenset({"string_value", "bool_value", "int_value", "double_value"})


class NotReadable(ValueError):
    """The body is no ExportTraceServiceRequest. The text quotes nothing of it."""


class TooManySpans(ValueError):
    """More spans, or groups of them, than one request may have."""


def spans_of(body: bytes) -> list[dict[str, Any]]:
    """Each span in our own words, unchecked. Raises NotReadable, TooManySpans."""
    try:
        # An empty span is two bytes here and two hundred in memory: they are counted before any is made.
        if count_below(body, _PATH, 2 * MOST_OTLP_SPANS) > 2 * MOST_OTLP_SPANS:
            raise TooManySpans
        request = ExportTraceServiceRequest.FromString(body)
    except (DecodeError, EOFError):
        raise NotReadable("The body is no ExportTraceServiceRequest.") from None
    found = list(_spans(request))
    if len(found) > MOST_OTLP_SPANS:
        raise TooManySpans
    return found


def _spans(request: ExportTraceServiceRequest) -> Iterator[dict[str, Any]]:
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes, READ_RESOURCE)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield _span(span, resource)


def _span(span: Span, resource: dict[str, Any]) -> dict[str, Any]:
    return as_reported(
        Received(
            resource,
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex() if any(span.parent_span_id) else None,
            from_nanoseconds(span.start_time_unix_nano),
            from_nanoseconds(span.end_time_unix_nano),
            _attributes(span.attributes, READ_ATTRIBUTES),
            span.status.code == Status.STATUS_CODE_ERROR,
        )
    )


def _attributes(pairs: Any, wanted: frozenset[str]) -> dict[str, Any]:
    """Those that are wanted and plain. Content is not even read."""
    found = {}
    for pair in pairs:
        if pair.key in wanted:
            held = pair.value.WhichOneof("value")
            if held in _SCALARS:
                found[pair.key] = getattr(pair.value, held)
    return found
