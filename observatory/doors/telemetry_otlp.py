"""`POST /v1/traces`: spans from any OpenTelemetry SDK or collector, as OTLP/HTTP in protobuf or JSON.

Every answer is in the request's encoding; a failure keeps its HTTP status in both.
"""

from typing import Any

from django.http import HttpResponse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.doors import openapi_spans
from observatory.doors.key_authentication import caller_of
from observatory.doors.problem import Refusal
from observatory.doors.span_body import media_type, span_body
from observatory.doors.span_intake import take_in
from telemetry.ingest.bounds import MOST_OTLP_SPANS
from telemetry.models import Span
from telemetry.otel import answers, reading, reading_json
from tools.scopes import Scope

PROTOBUF = "application/x-protobuf"
_READERS = {PROTOBUF: reading.spans_of, "application/json": reading_json.spans_of}


class AsTheRequest(BaseContentNegotiation):
    """OTLP answers in the encoding that it was spoken to; exporters' Accept headers say anything."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]


class TracesView(APIView):
    scope = Scope.TELEMETRY_WRITE
    content_negotiation_class = AsTheRequest

    @openapi_spans.traces
    def post(self, request: Request) -> HttpResponse | Response:
        receipt = take_in(_spans(request), caller_of(request), Span.Origin.OTLP)
        if media_type(request) == PROTOBUF:
            return HttpResponse(answers.as_protobuf(receipt.rejected), content_type=PROTOBUF)
        return Response(answers.as_json(receipt.rejected))

    def handle_exception(self, exc: Exception) -> Any:
        """The problem document, or to protobuf the same as a google.rpc.Status with the same status and headers."""
        response = super().handle_exception(exc)
        if media_type(self.request) != PROTOBUF:
            return response
        message = f"{response.data['code']}: {response.data['detail']}"
        kept = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        body = answers.status(response.status_code, message)
        return HttpResponse(body, status=response.status_code, content_type=PROTOBUF, headers=kept)


def _spans(request: Request) -> list[dict[str, Any]]:
    reader = _READERS.get(media_type(request))
    if reader is None:
        raise Refusal("unsupported_media_type", f"Send {' or '.join(_READERS)}.")
    try:
        return reader(span_body(request, "otlp_not_readable"))
    except reading.NotReadable as problem:
        raise Refusal("otlp_not_readable", str(problem)) from None
    except reading.TooManySpans:
        raise Refusal("too_large", f"At most {MOST_OTLP_SPANS} spans at a time.") from None
