"""Propose, look, commit. Refused commits are plain JSON with the reason; everything else is as at the other doors."""

import uuid
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from approvals.commits import Attempt, Refusal
from approvals.reading import read_proposal
from observatory.client_address import client_address
from observatory.committed import Committed, commit
from observatory.doors import openapi
from observatory.doors.body import json_object
from observatory.doors.key_authentication import caller_of, credential_of, snapshot_of
from observatory.doors.problem import Refusal as Refused
from observatory.doors.problem import problem
from observatory.doors.rendering import rendered
from observatory.pipeline import invoke
from telemetry.trace_context import continue_or_start
from tools.contract import Door, Intent, Outcome, Stop, ToolCall
from tools.reasons import Reason, reason
from tools.scopes import Scope
from tools.snapshot import KeyView, Snapshot

LONGEST_CANDIDATE = 64 * 1024
_MEMBERS = {"tool", "args", "prompt", "candidate_outputs", "session_id"}
_COMMIT_MEMBERS = {"commit_token", "args"}


class ProposalsView(APIView):
    """A call is proposed. The pipeline authenticates, so this view does not."""

    authentication_classes = ()
    permission_classes = ()
    keyed = True

    @openapi.propose
    def post(self, request: Request) -> Response:
        body = json_object(request)
        if unknown := sorted(set(body) - _MEMBERS):
            raise Refused("invalid_parameter", f"Not a member of a proposal: {', '.join(unknown)[:200]}.")
        tool, arguments, session = body.get("tool"), body.get("args", {}), body.get("session_id")
        if not isinstance(tool, str) or not isinstance(arguments, dict):
            raise Refused("invalid_parameter", 'Send {"tool": "...", "args": {...}, "prompt": "..."}.')
        if session is not None and not isinstance(session, str):
            raise Refused("invalid_parameter", "session_id is a string.")
        return propose(request, tool, arguments, intent_of(body), session_id=session)


def intent_of(body: dict[str, Any]) -> Intent:
    """The prompt and the two candidate outputs of a body; both may be missing. Raises Refused."""
    prompt, outputs = body.get("prompt", ""), body.get("candidate_outputs")
    if not isinstance(prompt, str):
        raise Refused("invalid_parameter", "prompt is a string.")
    if outputs is None:
        return Intent(prompt)
    if not isinstance(outputs, list) or len(outputs) != 2 or not all(isinstance(text, str) for text in outputs):
        raise Refused("invalid_parameter", "candidate_outputs are two strings.")
    if any(len(text) > LONGEST_CANDIDATE for text in outputs):
        raise Refused("too_large", f"A candidate output has at most {LONGEST_CANDIDATE} characters.")
    return Intent(prompt, (outputs[0], outputs[1]))


def propose(
    request: Request, tool: str, arguments: dict[str, Any], intent: Intent, *, session_id: str | None = None
) -> Response:
    """The proposal went through the one door, as far as a proposal goes."""
    return rendered(
        invoke(
            ToolCall(
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
        )
    )


class ProposalView(APIView):
    """Where one's own proposal stands, with its token while it may be committed."""

    scope = Scope.TOOLS_CALL

    @openapi.proposal
    def get(self, request: Request, proposal_id: str) -> Response:
        wanted = proposal_id_of(proposal_id)
        found = read_proposal(wanted, caller_of(request), timezone.now()) if wanted else None
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
            raise Refused("invalid_parameter", 'Send {"commit_token": "...", "args": {...}}.')
        return answer_commit(request, caller_of(request), snapshot_of(request), proposal_id, token, arguments)


def proposal_id_of(text: str) -> uuid.UUID | None:
    """The id, in its one spelling; None for what is no id: such a proposal is unknown."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def answer_commit(  # noqa: PLR0913 (who commits what, by which proof)
    request: Request,
    key: KeyView,
    snapshot: Snapshot,
    proposal_id: str,
    token: str,
    arguments: dict[str, Any],
    *,
    tool_name: str | None = None,
) -> Response:
    """The commit was judged and, where it was accepted, ran; its answer."""
    attempt = Attempt(
        proposal_id=proposal_id_of(proposal_id),
        token=token,
        arguments=arguments,
        key=key,
        snapshot=snapshot,
        trace=continue_or_start(request.META.get("HTTP_TRACEPARENT")),
        now=timezone.now(),
        idempotency_key=request.META.get("HTTP_IDEMPOTENCY_KEY"),
        tool_name=tool_name,
    )
    answer = commit(attempt)
    response = _refused(answer) if isinstance(answer, Refusal) else _committed(answer)
    response["X-Trace-Id"] = attempt.trace.trace_id
    response["traceparent"] = attempt.trace.traceparent
    return response


def _refused(answer: Refusal) -> Response:
    why = reason(answer.code)
    detail = {"detail": answer.detail or why.meaning}
    body = {"status": "blocked", "commit_id": answer.commit_id, "reason": answer.code, **detail}
    response = Response(body, status=why.status)
    if why.status == 401:
        # Of the token, not of the key: a client that asks for another key would ask in vain.
        response["WWW-Authenticate"] = 'CommitToken realm="mcp-observatory"'
    return response


def _committed(answer: Committed) -> Response:
    outcome, facts = answer.outcome, {"commit_id": answer.commit_id}
    if isinstance(outcome, Stop):
        return _repeated(outcome, facts)
    if isinstance(outcome, Reason):
        return problem(outcome, facts=facts)
    return _ran(outcome, facts)


def _ran(outcome: Outcome, facts: dict[str, str]) -> Response:
    if outcome.reason.code == "dry_run":
        return Response({**outcome.body, **facts})
    if outcome.is_answer:
        return Response({"status": "committed", **facts, "result": dict(outcome.body)})
    shown = {**outcome.facts, **facts}
    return problem(outcome.reason, outcome.detail, trace_id=outcome.trace.trace_id, facts=shown)


def _repeated(stop: Stop, facts: dict[str, str]) -> Response:
    """The first answer once more, with its status."""
    found = {**stop.facts}
    body = found.pop("body", {})
    if stop.reason.status >= 300:
        response = problem(stop.reason, stop.detail, facts={**found, **facts})
    else:
        response = Response({"status": "committed", **facts, "result": body})
    response["Idempotency-Replayed"] = "true"
    return response
