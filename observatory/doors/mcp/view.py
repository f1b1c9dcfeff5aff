"""The HTTP of the MCP door: who calls, from where, one message in, one answer out, which may be a stream."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpResponseBase
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.doors import openapi
from observatory.doors.body import MAX_BYTES
from observatory.doors.key_authentication import caller_of, credential_of, snapshot_of
from observatory.doors.mcp import listening
from observatory.doors.mcp.exchange import Exchange, noted
from observatory.doors.mcp.listening import ListenFrames
from observatory.doors.mcp.messages import Message, RpcError, message_of, parsed, request_id_of, speaks_stateless
from observatory.doors.mcp.methods import SERVER_INFO
from observatory.doors.mcp.sse import EventStream, EventStreamRenderer, accepts_stream
from observatory.doors.mcp.test_key import lend_test_key
from observatory.doors.problem import Refusal
from telemetry.connections import release_connection
from tools.scopes import Scope


class McpView(APIView):
    """One message a POST. Streams are answers to a POST, and no session is kept, so GET and DELETE are 405."""

    scope = Scope.TOOLS_CALL
    renderer_classes = (JSONRenderer, EventStreamRenderer)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """A page of another site learns nothing, not even whether its visitor's key is good."""
        if not _origin_is_ours(request, request.META.get("HTTP_ORIGIN")):
            raise Refusal("denied_origin")
        if request.method not in self.allowed_methods:
            # Before what it would accept is asked: clients try for a stream with GET, and only 405 tells them "none".
            raise MethodNotAllowed(str(request.method))
        lend_test_key(request)
        super().initial(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """What is a key's own stays out of every cache."""
        found = super().finalize_response(request, response, *args, **kwargs)
        found.headers.setdefault("Cache-Control", "no-store")
        return found

    @openapi.mcp
    def post(self, request: Request) -> HttpResponseBase:
        if (request.META.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal("unsupported_media_type")
        headers = {name.lower(): value for name, value in request.headers.items()}
        stateless, document = speaks_stateless(headers), None
        try:
            document = parsed(request._request.read(MAX_BYTES + 1), MAX_BYTES)
            message = message_of(document, headers)
            if message is None:
                return noted(request, document, headers, stateless=stateless)
            if message.method == listening.METHOD:
                return _listening(request, message)
            return Exchange(request, message).answered()
        except RpcError as error:
            response = Response(error.as_json(request_id_of(document)), status=error.status(stateless=stateless))
            if response.status_code == 503:
                response["Retry-After"] = str(error.data["retry_after_s"])
            return response


def _listening(request: Request, message: Message) -> EventStream:
    listening.refuse_unfit(message)
    if not accepts_stream(message.headers.get("accept", "")):
        raise Refusal("not_acceptable", "A subscription is answered by text/event-stream only.")
    frames = ListenFrames(message, caller_of(request), snapshot_of(request), credential_of(request), SERVER_INFO)
    release_connection()
    return EventStream(frames)


def _origin_is_ours(request: Request, origin: str | None) -> bool:
    """Agents send none; a page in a browser does, and is refused unless it is of this host or listed."""
    if not origin:
        return True
    if origin in settings.MCP_ALLOWED_ORIGINS:
        return True
    return urlsplit(origin).netloc == request.get_host()
