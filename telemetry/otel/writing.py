"""Our own spans as an ExportTraceServiceRequest: labels and numbers only."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.conf import settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from telemetry.models import Span
from telemetry.otel.names import (
    COLUMNS,
    ERROR_TYPE,
    EXECUTE_TOOL,
    EXPORTED_SERVICE,
    KEPT_ATTRIBUTES,
    KIND,
    METHOD,
    OPERATION,
    OWN_COLUMNS,
    SCOPE,
    SERVICE,
    TOOLS_CALL,
    VERSION,
)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_KINDS = {
    Span.Kind.TOOL_CALL: trace_pb2.Span.SPAN_KIND_SERVER,
    Span.Kind.MODEL_CALL: trace_pb2.Span.SPAN_KIND_CLIENT,
    Span.Kind.UPSTREAM: trace_pb2.Span.SPAN_KIND_CLIENT,
}
# Columns that hold false or 0 where nothing was said; of one that may be null, false and 0 say something.
_UNLESS_SAID = ("retries", "fallback_used", "deterministic_fallback", "high_risk_path")


def request_of(spans: Iterable[Span]) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    resource = {SERVICE: EXPORTED_SERVICE, "deployment.environment.name": settings.ENVIRONMENT}
    group.resource.attributes.extend(_pairs(resource))
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = SCOPE, VERSION
    scope.spans.extend(_span(span) for span in spans)
    return bytes(request.SerializeToString())


def _span(span: Span) -> trace_pb2.Span:
    failed = span.decision == "error" or span.decision.startswith("denied")
    return trace_pb2.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_span_id),
        name=name_of(span),
        kind=_KINDS.get(Span.Kind(span.kind), trace_pb2.Span.SPAN_KIND_INTERNAL),
        start_time_unix_nano=_nanoseconds(span.start_time),
        end_time_unix_nano=_nanoseconds(span.end_time),
        attributes=_pairs(attributes_of(span, failed=failed)),
        status=trace_pb2.Status(code=trace_pb2.Status.STATUS_CODE_ERROR) if failed else None,
    )


def name_of(span: Span) -> str:
    return span.name or (f"{TOOLS_CALL} {span.tool_name}" if span.kind == Span.Kind.TOOL_CALL else str(span.kind))


def attributes_of(span: Span, *, failed: bool) -> dict[str, Any]:
    """What is sent of a span beside its name, ids and times, under OpenTelemetry's names."""
    found = {name: value for name, value in span.attributes.items() if name in KEPT_ATTRIBUTES}
    found[KIND] = span.kind
    if span.kind == Span.Kind.TOOL_CALL:
        found |= {METHOD: TOOLS_CALL, OPERATION: EXECUTE_TOOL}
    elif span.kind == Span.Kind.MODEL_CALL:
        found.setdefault(OPERATION, "chat")
    for column, names in COLUMNS.items():
        value = getattr(span, column)
        found[names[0]] = value or None if column in _UNLESS_SAID else value
    if failed:
        found[ERROR_TYPE] = span.error_type or span.reason
    for column in OWN_COLUMNS:
        found[f"{SCOPE}.{column}"] = getattr(span, column)
    return {name: value for name, value in found.items() if value is not None and value != ""}


def _pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in sorted(attributes.items())]


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float | Decimal):
        return AnyValue(double_value=float(value))
    return AnyValue(string_value=str(value))


def _nanoseconds(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND * 1000
