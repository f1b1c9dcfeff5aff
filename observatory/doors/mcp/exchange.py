"""One message and its answer: as JSON, or, for a call that takes its time, as a stream."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from observatory.client_address import client_address
from observatory.doors.key_authentication import caller_of, credential_of, snapshot_of
from observatory.doors.mcp import sessions
from observatory.doors.mcp.in_flight import in_flight, name_of_call
from observatory.doors.mcp.messages import Message, RpcError, request_id_of
from observatory.doors.mcp.methods import Caller, answer
from observatory.doors.mcp.running_call import PATIENCE_S, CallFrames, Reply, RunningCall
from observatory.doors.mcp.sse import EventStream, accepts_stream, slots
from observatory.doors.mcp.tool_calls import IDEMPOTENCY_KEY, SESSION_ID, text_in_meta
from observatory.doors.problem import Refusal
from telemetry.connections import release_connection
from telemetry.trace_context import continue_or_start
from tools.cancellation import Cancellation
from tools.contract import Door, Progress, ToolCall


def noted(request: Request, document: Any, headers: Mapping[str, str], *, stateless: bool) -> Response:
    """A notification is taken. That a call is taken back is heeded where the session tells whose call is meant."""
    session = None if stateless else _session(request, headers)
    if session is not None and document.get("method") == "notifications/cancelled":
        request_id = request_id_of({"id": document.get("params", {}).get("requestId")})
        if request_id is not None:
            in_flight.take_back(name_of_call(caller_of(request).public_id, session, request_id))
    return Response(status=202)


def _session(request: Request, headers: Mapping[str, str]) -> str | None:
    """The client's name for its conversation, as this door gave it; None where it sends none. Raises Refusal."""
    session = headers.get(sessions.HEADER)
    if session is not None and not sessions.is_genuine(session, caller_of(request).public_id):
        raise Refusal("not_found", "This session was not given to this key: initialize again.")
    return session


class Exchange:
    """One request, on its way to its answer."""

    def __init__(self, request: Request, message: Message) -> None:
        """Raises Refusal for a session that is not the caller's."""
        self._request, self._message = request, message
        self._cancellation = Cancellation()
        self._progress: Progress | None = None
        # Whoever starts anew has no session yet, whatever it still sends.
        has_session = not message.stateless and message.method != "initialize"
        self._session = _session(request, message.headers) if has_session else None

    def answered(self) -> HttpResponseBase:
        if self._runs_apart():
            return self._apart()
        return self._rendered(self._reply())

    def _runs_apart(self) -> bool:
        """Its caller wants to know how far it is, or takes it back by going away."""
        message = self._message
        if message.method != "tools/call" or not accepts_stream(message.headers.get("accept", "")):
            return False
        return message.stateless or _token(message) is not None

    def _apart(self) -> HttpResponseBase:
        """The call runs in another thread. It is streamed once it takes its time, if there is room for a stream."""
        message = self._message
        running = RunningCall(self._reply, self._cancellation, message.id, _token(message))
        self._progress = running.progressed.report if running.progressed else None
        release_connection()
        running.start()
        if running.has_ended(PATIENCE_S) or (slot := slots.take()) is None:
            return self._rendered(running.plain())
        running.hold(slot)
        return EventStream(CallFrames(running, cancels=message.stateless))

    def _reply(self) -> Reply:
        """The response and its status. A call may be taken back meanwhile, by its session and its id."""
        message, caller = self._message, caller_of(self._request)
        known = Caller(caller, snapshot_of(self._request), self._begun)
        name = name_of_call(caller.public_id, self._session, message.id) if self._session else None
        try:
            with in_flight.named(name if message.method == "tools/call" else None, self._cancellation):
                result = answer(message, known)
        except RpcError as error:
            return error.as_json(message.id), error.status(stateless=message.stateless)
        return {"jsonrpc": "2.0", "id": message.id, "result": result}, 200

    def _rendered(self, reply: Reply) -> Response:
        document, status = reply
        response = Response(document, status=status)
        if self._message.method == "initialize" and status == 200:
            response[sessions.HEADER] = sessions.new_session(caller_of(self._request).public_id)
        return response

    def _begun(self, name: str, arguments: Mapping[str, Any]) -> ToolCall:
        request, message = self._request, self._message
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
            progress=self._progress,
            cancellation=self._cancellation,
        )


def _token(message: Message) -> str | int | None:
    """What the caller calls its progress by; None where it does not ask for any."""
    found = message.meta.get("progressToken")
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None
