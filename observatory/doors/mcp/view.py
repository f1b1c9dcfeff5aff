"""The HTTP of the MCP door: who calls, from where, one message in, one answer out."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.client_address import client_address
from observatory.doors import openapi
from observatory.doors.body import MAX_BYTES
from observatory.doors.key_authentication import caller_of, credential_of, snapshot_of
from observatory.doors.mcp.messages import Message, RpcError, message_of, parsed, request_id_of, speaks_stateless
from observatory.doors.mcp.methods import Caller, answer
from observatory.doors.mcp.test_key import lend_test_key
from observatory.doors.mcp.tool_calls import IDEMPOTENCY_KEY, SESSION_ID, text_in_meta
from observatory.doors.problem import Refusal
from telemetry.trace_context import continue_or_start
from tools.contract import Door, ToolCall
from tools.scopes import Scope


class McpView(APIView):
    """One message a POST. There is no stream to open and no session to end, so GET and DELETE are 405."""

    scope = Scope.TOOLS_CALL

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """A page of another site learns nothing, not even whether its visitor's key is good."""
        if not _origin_is_ours(request, request.META.get("HTTP_ORIGIN")):
            raise Refusal("denied_origin")
        if request.method not in self.allowed_methods:
            # Before what it would accept is asked: clients try for a stream with GET, and only 405 tells them "none".
            raise MethodNotAllowed(str(request.method))
        lend_test_key(request)
        super().initial(request, *args, **kwargs)

    @openapi.mcp
    def post(self, request: Request) -> Response:
        if (request.META.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal("unsupported_media_type")
        headers = {name.lower(): value for name, value in request.headers.items()}
        stateless, document = speaks_stateless(headers), None
        try:
            document = parsed(request._request.read(MAX_BYTES + 1), MAX_BYTES)
            message = message_of(document, headers)
            if message is None:
                return Response(status=202)
            caller = Caller(caller_of(request), snapshot_of(request), lambda *call: _begun(request, message, *call))
            result = answer(message, caller)
        except RpcError as error:
            return Response(error.as_json(request_id_of(document)), status=error.status(stateless=stateless))
        return Response({"jsonrpc": "2.0", "id": message.id, "result": result})


def _origin_is_ours(request: Request, origin: str | None) -> bool:
    """Agents send none; a page in a browser does, and is refused unless it is of this host or listed."""
    if not origin:
        return True
    if origin in settings.MCP_ALLOWED_ORIGINS:
        return True
    return urlsplit(origin).netloc == request.get_host()


def _begun(request: Request, message: Message, name: str, arguments: Mapping[str, Any]) -> ToolCall:
    return ToolCall(
        tool_name=name,
        arguments=arguments,
        door=Door.MCP,
        trace=continue_or_start(text_in_meta(message, "traceparent", "traceparent")),
        received_at=timezone.now(),
        credential=credential_of(request),
        address=client_address(request),
        idempotency_key=text_in_meta(message, IDEMPOTENCY_KEY, "idempotency-key"),
        session_id=text_in_meta(message, SESSION_ID, "x-session-id"),
    )
