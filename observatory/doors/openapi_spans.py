"""The OpenAPI descriptions of the doors for spans, with their examples."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

from observatory.doors.openapi import OBJECT, example, problems
from telemetry.ingest.bounds import MOST_BYTES, MOST_SPANS
from telemetry.ingest.faults import FAULTS

_ENCODING = OpenApiParameter(
    "Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip"], description="Bounded once unzipped."
)
_SPAN = {
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "kind": "model_call",
    "service": "example-mcp",
    "provider": "openai",
    "model": "gpt-4o",
    "start_time": "2026-11-21T14:00:00.000000Z",
    "end_time": "2026-11-21T14:00:01.250000Z",
    "prompt_tokens": 1200,
    "completion_tokens": 85,
    "confidence": 0.64,
}
_REJECTED = {"index": 3, "code": "too_old", "detail": "start_time: the span began longer ago than spans are taken."}

spans = extend_schema(
    operation_id="report_spans",
    summary="Report spans: model calls and tool calls that were timed elsewhere",
    description=f"At most {MOST_SPANS} spans and {MOST_BYTES // 1024 // 1024} MiB. Good spans are kept, each once.",
    parameters=[_ENCODING],
    request={"application/json": OBJECT},
    responses={
        200: inline_serializer(
            "SpansTaken",
            {
                "accepted": serializers.IntegerField(help_text="New spans, stored."),
                "duplicates": serializers.IntegerField(help_text="Stored before, by the same agent."),
                "rejected": inline_serializer(
                    "SpanRejected",
                    {
                        "index": serializers.IntegerField(help_text="Its place in the batch, from 0."),
                        "code": serializers.ChoiceField(choices=list(FAULTS)),
                        "detail": serializers.CharField(),
                    },
                    many=True,
                ),
            },
        ),
        **problems(400, 401, 403, 406, 413, 415, 422, 429, 503),
    },
    examples=[
        example("a model call", {"spans": [_SPAN]}, request_only=True),
        example(
            "one of three refused",
            {"accepted": 2, "duplicates": 0, "rejected": [_REJECTED]},
            response_only=True,
            status_codes=["200"],
        ),
    ],
)

_JSON = inline_serializer(
    "OtlpAnswer",
    {
        "partialSuccess": inline_serializer(
            "OtlpPartialSuccess",
            {"rejectedSpans": serializers.CharField(), "errorMessage": serializers.CharField()},
            required=False,
        )
    },
)
_PROTOBUF = "application/x-protobuf"

traces = extend_schema(
    operation_id="otlp_traces",
    summary="Report spans over OTLP/HTTP, in protobuf or JSON",
    description="An ExportTraceServiceRequest. Answers, failures too, are in the request's encoding.",
    parameters=[_ENCODING],
    request={_PROTOBUF: OpenApiTypes.BINARY, "application/json": OBJECT},
    responses={
        (200, _PROTOBUF): OpenApiResponse(OpenApiTypes.BINARY, description="ExportTraceServiceResponse."),
        (200, "application/json"): OpenApiResponse(_JSON, description="The same in JSON."),
        **{
            (status, _PROTOBUF): OpenApiResponse(OpenApiTypes.BINARY, description="google.rpc.Status")
            for status in (400, 401, 403, 413, 415, 422, 429, 503)
        },
        **problems(400, 401, 403, 413, 415, 422, 429, 503),
    },
    examples=[
        example(
            "one tool call",
            {
                "resourceSpans": [
                    {
                        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "example-mcp"}}]},
                        "scopeSpans": [
                            {
                                "spans": [
                                    {
                                        "traceId": _SPAN["trace_id"],
                                        "spanId": _SPAN["span_id"],
                                        "name": "tools/call search_customer",
                                        "kind": 2,
                                        "startTimeUnixNano": "1795269600000000000",
                                        "endTimeUnixNano": "1795269600125000000",
                                        "attributes": [
                                            {"key": "mcp.method.name", "value": {"stringValue": "tools/call"}},
                                            {"key": "gen_ai.tool.name", "value": {"stringValue": "search_customer"}},
                                        ],
                                    }
                                ]
                            }
                        ],
                    }
                ]
            },
            media_type="application/json",
            request_only=True,
        )
    ],
)
