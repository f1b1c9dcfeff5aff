"""Propose, look, commit. Refused commits are plain JSON with the reason; everything else is as at the other doors."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from approvals.commits import Attempt
from approvals.reading import proposal_id_of, read_proposal
from observatory.calling import intent_of
from observatory.client_address import client_address
from observatory.committed import commit
from observatory.doors import openapi_proposals as openapi
from observatory.doors.body import json_object
from observatory.doors.key_authentication import caller_of, credential_of, snapshot_of
from observatory.doors.problem import Refusal, problem
from observatory.doors.rendering import answered
from observatory.pipeline import invoke
from telemetry.trace_context import continue_or_start
from tools.contract import Door, Stop, ToolCall
from tools.reasons import reason
from tools.scopes import Scope

_MEMBERS = {"tool", "args", "prompt", "candidate_outputs", "session_id"}
_COMMIT_MEMBERS = {"commit_token", "args"}


class ProposalsView(APIView):
    """A call is proposed. The pipeline authenticates, so this view does not."""

    authentication_classes = ()
    permission_classes = ()
    keyed = True

    @openapi.propose
    def post(self, request: Request) -> Response:
        tool, arguments, session_id, described = _read(json_object(request))
        intent = intent_of(described)
        if isinstance(intent, Stop):
            raise Refusal(intent.code, intent.detail)
        call = ToolCall(
            tool_name=tool,
            arguments=arguments,
            door=Door.REST,
            trace=continue_or_start(request.META.get("HTTP_TRACEPARENT")),
            received_at=timezone.now(),
            credential=credential_of(request),
            address=client_address(request),
            idempotency_key=request.META.get("HTTP_IDEMPOTENCY_KEY"),
            session_id=session_id or request.META.get("HTTP_X_SESSION_ID"),
            intent=intent,
        )
        return answered(invoke(call), call.trace)


def _read(body: dict[str, Any]) -> tuple[str, dict[str, Any], str | None, dict[str, Any]]:
    """Tool, arguments, session, and what describes the intent. Raises Refusal."""
    if unknown := sorted(set(body) - _MEMBERS):
        raise Refusal("invalid_parameter", f"Not a member of a proposal: {', '.join(unknown)[:200]}.")
    tool, arguments, session_id = body.get("tool"), body.get("args", {}), body.get("session_id")
    if not isinstance(tool, str) or not isinstance(arguments, dict):
        raise Refusal("invalid_parameter", 'Send {"tool": "...", "args": {...}, "prompt": "..."}.')
    if session_id is not None and not isinstance(session_id, str):
        raise Refusal("invalid_parameter", "session_id is a string.")
    return tool, arguments, session_id, body


class ProposalView(APIView):
    """Where one's own proposal stands, with its token while it may be committed."""

    scope = Scope.TOOLS_CALL

    @openapi.proposal
    def get(self, request: Request, proposal_id: str) -> Response:
        wanted = proposal_id_of(proposal_id)
        key, snapshot = caller_of(request), snapshot_of(request)
        found = read_proposal(wanted, key, snapshot, timezone.now()) if wanted else None
        if found is None:
            return problem(reason("unknown_proposal"))
        return Response(found, headers={"Cache-Control": "no-store"})


class CommitView(APIView):
    """A proposal is committed, or why not."""

    scope = Scope.TOOLS_CALL

    @openapi.commit
    def post(self, request: Request, proposal_id: str) -> Response:
        body = json_object(request)
        token, arguments = body.get("commit_token"), body.get("args", {})
        if not isinstance(token, str) or not isinstance(arguments, dict) or set(body) - _COMMIT_MEMBERS:
            raise Refusal("invalid_parameter", 'Send {"commit_token": "...", "args": {...}}.')
        attempt = Attempt(
            proposal_id=proposal_id_of(proposal_id),
            token=token,
            arguments=arguments,
            key=caller_of(request),
            snapshot=snapshot_of(request),
            trace=continue_or_start(request.META.get("HTTP_TRACEPARENT")),
            now=timezone.now(),
            idempotency_key=request.META.get("HTTP_IDEMPOTENCY_KEY"),
        )
        return answered(commit(attempt), attempt.trace)
