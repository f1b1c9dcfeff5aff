"""Pending actions over REST: look, wait, cancel; decide by a key that may confirm."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from approvals import actions
from approvals.models import PendingAction
from approvals.states import OPEN, Status
from observatory.approved import run_approved
from observatory.doors import openapi
from observatory.doors.body import json_object
from observatory.doors.key_authentication import record_refusal
from observatory.doors.problem import Refusal, problem
from telemetry.connections import release_connection
from telemetry.recorder import Actor
from tools import idempotency
from tools.contract import Outcome, Stop
from tools.models import AgentKey
from tools.reasons import Reason
from tools.scopes import Scope
from tools.snapshot import KeyView

LONGEST_WAIT_S = 30
POLL_S = 0.25
# Waiting holds a thread, so that only so many may wait in one process; the others are answered at once.
_waiting = threading.BoundedSemaphore(32)
HELD_FIELDS = ("requires_confirmation", "pending_action_id")


def action_id_of(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Refusal("unknown_action") from None


class ConfirmView(APIView):
    """A decision by the owner of a key that may confirm; the approval that completes the quorum runs the call."""

    scope = Scope.ACTIONS_CONFIRM

    @openapi.confirm
    def post(self, request: Request, action_id: str) -> Response:
        body = json_object(request)
        approve, why = body.get("approve"), body.get("reason", "")
        if not isinstance(approve, bool) or not isinstance(why, str) or set(body) - {"approve", "reason"}:
            raise Refusal("invalid_parameter", 'Send {"approve": true} or {"approve": false, "reason": "..."}.')
        key: KeyView = request.user  # type: ignore[assignment]  # our authentication puts the key there
        owner = AgentKey.objects.select_related("owner").get(pk=key.id).owner
        decided = actions.decide(
            action_id_of(action_id), owner, approve=approve, reason=why, via="confirm", now=timezone.now()
        )
        if isinstance(decided, Stop):
            record_refusal(key, decided.code, request.path)
            return problem(decided.reason, decided.detail, facts=decided.facts)
        if decided.rejected:
            return Response({"ok": True, "status": "rejected", **_null_fields(decided.action)})
        if not decided.approved:
            waiting = {
                "ok": True,
                "status": "pending",
                "approvals": decided.approvals,
                "approvals_needed": decided.action.quorum,
            }
            return Response(waiting, status=202)
        return _confirmed(run_approved(decided.action.pk, timezone.now()))


def _null_fields(action: PendingAction) -> dict[str, Any]:
    schema = action.tool_version.output_schema or {}
    return {name: None for name in schema.get("properties", {}) if name not in HELD_FIELDS}


def _confirmed(outcome: Outcome | Reason) -> Response:
    if isinstance(outcome, Reason):
        return problem(outcome)
    if not outcome.is_answer:
        return problem(outcome.reason, outcome.detail, trace_id=outcome.trace.trace_id, facts=outcome.facts)
    output = {name: value for name, value in outcome.body.items() if name not in HELD_FIELDS}
    return Response({"ok": True, "status": "confirmed", **output}, headers={"X-Trace-Id": outcome.trace.trace_id})


class ActionView(APIView):
    """Where an agent's own pending action stands, and its result once there is one."""

    scope = Scope.TOOLS_CALL

    @openapi.action
    def get(self, request: Request, action_id: str) -> Response:
        key: KeyView = request.user  # type: ignore[assignment]
        wanted, seconds = action_id_of(action_id), _wait_of(request)

        def look() -> PendingAction:
            found = PendingAction.objects.select_related("tool", "result").asked_by(key.agent_id).filter(pk=wanted)
            action = found.first()
            if action is None:
                raise Refusal("unknown_action")
            return action

        return Response(described(_awaited(look, seconds)))

    @openapi.cancel
    def delete(self, request: Request, action_id: str) -> Response:
        key: KeyView = request.user  # type: ignore[assignment]
        actor = Actor("agent", key.public_id, key.agent_name)
        cancelled = actions.cancel(action_id_of(action_id), key.agent_id, actor, timezone.now())
        if isinstance(cancelled, Stop):
            return problem(cancelled.reason, cancelled.detail)
        cancelled.refresh_from_db()
        return Response(described(cancelled))


def _awaited(look: Callable[[], PendingAction], seconds: float) -> PendingAction:
    """The action once it has ended, or as it is when the time is over. Holds no database connection while it waits."""
    deadline = time.monotonic() + seconds
    action = look()
    if seconds == 0 or not _waiting.acquire(blocking=False):
        return action
    try:
        while action.status in (*OPEN, Status.EXECUTING) and time.monotonic() < deadline:
            release_connection()
            time.sleep(min(POLL_S, max(deadline - time.monotonic(), 0)))
            action = look()
        return action
    finally:
        _waiting.release()


def _wait_of(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    if not text.isdigit() or int(text) > LONGEST_WAIT_S:
        raise Refusal("invalid_parameter", f"wait is a whole number of seconds, at most {LONGEST_WAIT_S}.")
    return float(text)


def described(action: PendingAction) -> dict[str, Any]:
    """Shape: pending_action_id, tool, status, reason, approvals, approvals_needed, expires_at, result or null."""
    stored = idempotency.stored_answer(action.result)
    return {
        "pending_action_id": str(action.pk),
        "tool": action.tool.name,
        "status": action.status,
        "reason": action.reason,
        "approvals": action.votes.filter(approve=True).count(),
        "approvals_needed": action.quorum,
        "created_at": action.created_at.isoformat(),
        "expires_at": action.expires_at.isoformat(),
        "result": stored["body"] if stored and action.status == Status.DONE else None,
    }
