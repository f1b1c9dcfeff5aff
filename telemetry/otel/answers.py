"""What a receiver of OTLP answers, in the encoding of the request. Source: OpenTelemetry Protocol 1.x, "OTLP/HTTP"."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from telemetry.ingest.faults import Rejected
from telemetry.otel.wire import varint

_MOST_FAULTS = 5
# google.rpc.Code for an HTTP status. Source: googleapis, google/rpc/code.proto
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 413: 8, 415: 3, 422: 3, 429: 8, 503: 14}
_UNKNOWN = 2


def sentence(rejected: Sequence[Rejected]) -> str:
    """How many were refused, and the commonest reasons."""
    if not rejected:
        return ""
    reasons = Counter(one.detail for one in rejected).most_common(_MOST_FAULTS)
    return f"{len(rejected)} refused: " + " ".join(f"{detail[:-1]} ({count})." for detail, count in reasons)


def as_protobuf(rejected: Sequence[Rejected]) -> bytes:
    answer = ExportTraceServiceResponse()
    if rejected:
        answer.partial_success.rejected_spans = len(rejected)
        answer.partial_success.error_message = sentence(rejected)
    return bytes(answer.SerializeToString())


def as_json(rejected: Sequence[Rejected]) -> dict[str, Any]:
    """64-bit numbers are texts in protobuf's JSON."""
    if not rejected:
        return {}
    return {"partialSuccess": {"rejectedSpans": str(len(rejected)), "errorMessage": sentence(rejected)}}


def status(http_status: int, message: str) -> bytes:
    """A google.rpc.Status: field 1 its code, field 2 its message. Two fields, so written by hand."""
    text = message.encode()
    return b"\x08" + varint(_CODES.get(http_status, _UNKNOWN)) + b"\x12" + varint(len(text)) + text
