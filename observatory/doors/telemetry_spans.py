"""`POST /telemetry/spans`: a batch of spans in our own words, from the SDK or anything that speaks JSON."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.doors import openapi_spans
from observatory.doors.key_authentication import caller_of
from observatory.doors.problem import Refusal
from observatory.doors.span_body import media_type, span_body
from observatory.doors.span_intake import take_in
from telemetry.canonical import NotCanonical, parse
from telemetry.ingest.bounds import MOST_BYTES, MOST_SPANS
from telemetry.models import Span
from tools.scopes import Scope


class SpansView(APIView):
    scope = Scope.TELEMETRY_WRITE

    @openapi_spans.spans
    def post(self, request: Request) -> Response:
        receipt = take_in(_spans(request), caller_of(request), Span.Origin.SDK)
        return Response(
            {
                "accepted": receipt.accepted,
                "duplicates": receipt.duplicates,
                "rejected": [one.as_json() for one in receipt.rejected],
            }
        )


def _spans(request: Request) -> list[object]:
    """The spans of the body, unchecked but for their number."""
    if media_type(request) not in ("application/json", ""):
        raise Refusal("unsupported_media_type")
    try:
        body = parse(span_body(request, "malformed_json"), max_bytes=MOST_BYTES)
    except NotCanonical as problem:
        raise Refusal(problem.code, problem.detail) from None
    if not isinstance(body, dict):
        raise Refusal("not_an_object")
    spans = body.get("spans")
    if not isinstance(spans, list) or len(body) > 1:
        raise Refusal("invalid_parameter", 'Send {"spans": [...]} and nothing beside it.')
    if len(spans) > MOST_SPANS:
        raise Refusal("too_large", f"At most {MOST_SPANS} spans at a time.")
    return spans
