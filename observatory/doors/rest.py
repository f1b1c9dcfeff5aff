"""Discovery and calls over REST."""

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.calling import call_by_name
from observatory.client_address import client_address
from observatory.discovery import etag_of, listing
from observatory.doors import openapi
from observatory.doors.body import json_object
from observatory.doors.key_authentication import caller_of, credential_of, proven_caller, snapshot_of
from observatory.doors.rendering import answered
from telemetry.trace_context import continue_or_start
from tools.contract import Door, ToolCall
from tools.scopes import Scope
from tools.snapshot import current

SMALL_BYTES = 16 * 1024


class ToolsView(APIView):
    """What this key may see."""

    scope = Scope.TOOLS_CALL

    @openapi.discovery
    def get(self, request: Request) -> Response:
        body = listing(caller_of(request), snapshot_of(request))
        tag = etag_of(body)
        if request.META.get("HTTP_IF_NONE_MATCH") == tag:
            return Response(status=304, headers={"ETag": tag})
        return Response(body, headers={"ETag": tag, "Cache-Control": "private, no-cache"})


class ToolCallView(APIView):
    """One call by name. The pipeline authenticates, so this view does not."""

    authentication_classes = ()
    permission_classes = ()
    keyed = True

    @openapi.tool_call
    def post(self, request: Request, name: str) -> Response:
        _refuse_large_without_key(request)
        arguments = json_object(request)
        call = ToolCall(
            tool_name=name,
            arguments=arguments,
            door=Door.REST,
            trace=continue_or_start(request.META.get("HTTP_TRACEPARENT")),
            received_at=timezone.now(),
            credential=credential_of(request),
            address=client_address(request),
            idempotency_key=request.META.get("HTTP_IDEMPOTENCY_KEY"),
            session_id=request.META.get("HTTP_X_SESSION_ID"),
        )
        return answered(call_by_name(call), call.trace)


def _refuse_large_without_key(request: Request) -> None:
    """Nobody without a key has a large body parsed. The pipeline asks again; small bodies are not worth a query."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or int(length[:12]) <= SMALL_BYTES:
        return
    proven_caller(request, current(), timezone.now())
