"""The HTTP of the MCP door: who calls, from where, one message in, one answer out."""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from mcp_types import INTERNAL_ERROR

from observatory.client_address import client_address
from observatory.doors.body import MAX_BYTES
from observatory.doors.key_authentication import credential_of
from observatory.doors.mcp.messages import Message, RpcError, message_of, parsed, request_id_of, speaks_stateless
from observatory.doors.mcp.methods import Caller, answer
from observatory.doors.mcp.tool_calls import IDEMPOTENCY_KEY, SESSION_ID, text_in_meta
from telemetry.recorder import count_refusal
from telemetry.trace_context import continue_or_start
from tools.authentication import key_for
from tools.contract import Door, ToolCall
from tools.snapshot import current

log = logging.getLogger(__name__)


@method_decorator(csrf_exempt, name="dispatch")
class McpView(View):
    """One message a POST. There is no stream to open and no session to end, so GET and DELETE are 405."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        refused = _refused_before_reading(request, headers)
        if refused is not None:
            return refused
        try:
            return self._answered(request, headers)
        except (DatabaseError, InterfaceError):
            log.exception("the database failed")
            return JsonResponse(
                RpcError(INTERNAL_ERROR, "The database is down; nothing ran.").as_json(None), status=503
            )

    def _answered(self, request: HttpRequest, headers: Mapping[str, str]) -> HttpResponse:
        now, snapshot = timezone.now(), current()
        key = key_for(credential_of(request), snapshot, now)
        if key is None:
            count_refusal("unauthenticated", now)
            return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer realm="mcp-observatory"'})
        stateless, document = speaks_stateless(headers), None
        try:
            document = parsed(request.read(MAX_BYTES + 1), MAX_BYTES)
            message = message_of(document, headers)
            if message is None:
                return HttpResponse(status=202)
            caller = Caller(key, snapshot, lambda name, arguments: _begun(request, message, name, arguments))
            result = answer(message, caller)
        except RpcError as error:
            body = error.as_json(request_id_of(document))
            return JsonResponse(body, status=error.status(stateless=stateless))
        return JsonResponse({"jsonrpc": "2.0", "id": message.id, "result": result})


def _refused_before_reading(request: HttpRequest, headers: Mapping[str, str]) -> HttpResponse | None:
    """What a browser page of another site, or a client of another protocol, is told."""
    if not _origin_is_ours(request, headers.get("origin")):
        return HttpResponse("This origin may not call.", status=403, content_type="text/plain")
    if request.content_type != "application/json":
        return HttpResponse("Send application/json.", status=415, content_type="text/plain")
    accepted = headers.get("accept", "*/*")
    if "application/json" not in accepted and "*/*" not in accepted:
        return HttpResponse("Answers are application/json.", status=406, content_type="text/plain")
    return None


def _origin_is_ours(request: HttpRequest, origin: str | None) -> bool:
    """Agents send none; a page in a browser does, and is refused unless it is of this host or listed."""
    if not origin:
        return True
    if origin in settings.MCP_ALLOWED_ORIGINS:
        return True
    return urlsplit(origin).netloc == request.get_host()


def _begun(request: HttpRequest, message: Message, name: str, arguments: Mapping[str, Any]) -> ToolCall:
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
