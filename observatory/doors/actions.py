"""Pending actions over REST: look, wait, cancel; decide by a key that may confirm."""

import uuid
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from approvals import actions
from approvals.models import PendingAction
from approvals.states import Status
from observatory.action_status import LONGEST_WAIT_S, action_of, described
from observatory.approved import run_approved
from observatory.doors import openapi
from observatory.doors.body import json_object
from observatory.doors.key_authentication import caller_of, record_refusal, snapshot_of
from observatory.doors.problem import Refusal, problem
from tools.contract import Outcome, Stop
from tools.idempotency import stored_answer
from tools.models import AgentKey
from tools.reasons import Reason
from tools.scopes import Scope
from tools.snapshot import KeyView, Snapshot

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
        approve, why = _decision_of(body)
        key = caller_of(request)
        _refuse_frozen(key, snapshot_of(request))
        owner = AgentKey.objects.select_related("owner").get(pk=key.id).owner
        decided = actions.decide(
            action_id_of(action_id),
            owner,
            approve=approve,
            reason=why,
            via="confirm",
            now=timezone.now(),
            access_subject=key.access_subject,
        )
        if isinstance(decided, Stop):
            record_refusal(key, decided.code, request.path)
            return problem(decided.reason, decided.detail, facts=decided.facts)
        if decided.rejected:
            proposal = {"proposal_id": str(decided.action.proposal_id)} if decided.action.proposal_id else None
            return Response({"ok": True, "status": "rejected", **(proposal or _null_fields(decided.action))})
        if not decided.approved:
            waiting = {
                "ok": True,
                "status": "pending",
                "approvals": decided.approvals,
                "approvals_needed": decided.action.quorum,
            }
            return Response(waiting, status=202)
        if decided.action.proposal_id is not None:
            # Its agent commits it; until then nothing runs.
            return Response({"ok": True, "status": "confirmed", "proposal_id": str(decided.action.proposal_id)})
        return _confirmed(run_approved(decided.action.pk, timezone.now()), decided.action)


def _decision_of(body: dict[str, Any]) -> tuple[bool, str]:
    """Yes or no, and why."""
    approve, why = body.get("approve"), body.get("reason", "")
    if (
        isinstance(approve, bool)
        and isinstance(why, str)
        and "\x00" not in why
        and not set(body) - {"approve", "reason"}
    ):
        return approve, why
    raise Refusal("invalid_parameter", 'Send {"approve": true} or {"approve": false, "reason": "..."}.')


def _refuse_frozen(key: KeyView, snapshot: Snapshot) -> None:
    """A frozen agent decides nothing either."""
    why = (
        snapshot.frozen_everything
        if snapshot.frozen_everything is not None
        else snapshot.frozen_agents.get(key.agent_id)
    )
    if why is not None:
        raise Refusal("frozen", why)


def _null_fields(action: PendingAction) -> dict[str, Any]:
    schema = action.tool_version.output_schema or {}
    return {name: None for name in schema.get("properties", {}) if name not in HELD_FIELDS}


def _confirmed(outcome: Outcome | Reason, action: PendingAction) -> Response:
    if isinstance(outcome, Reason):
        return _ran_elsewhere(outcome, action)
    if not outcome.is_answer:
        return problem(outcome.reason, outcome.detail, trace_id=outcome.trace.trace_id, facts=outcome.facts)
    output = {name: value for name, value in outcome.body.items() if name not in HELD_FIELDS}
    return Response({"ok": True, "status": "confirmed", **output}, headers={"X-Trace-Id": outcome.trace.trace_id})


def _ran_elsewhere(why: Reason, action: PendingAction) -> Response:
    """A worker was faster with the same approval: what it came to is the answer, or that it still runs."""
    action.refresh_from_db()
    stored = stored_answer(action.result)
    if action.status == Status.DONE and stored:
        output = {name: value for name, value in stored["body"].items() if name not in HELD_FIELDS}
        return Response({"ok": True, "status": "confirmed", **output})
    if action.status == Status.EXECUTING:
        return Response({"ok": True, "status": "executing", "pending_action_id": str(action.pk)}, status=202)
    return problem(why)


class ActionView(APIView):
    """Where an agent's own pending action stands, and its result once there is one."""

    scope = Scope.TOOLS_CALL

    @openapi.action
    def get(self, request: Request, action_id: str) -> Response:
        key = caller_of(request)
        wanted, seconds = action_id_of(action_id), _wait_of(request)

        found = action_of(key, wanted, wait_s=seconds)
        if isinstance(found, Stop):
            raise Refusal(found.code, found.detail)
        return Response(described(found), headers={"Cache-Control": "no-store"})

    @openapi.cancel
    def delete(self, request: Request, action_id: str) -> Response:
        key = caller_of(request)
        cancelled = actions.cancel(action_id_of(action_id), key.agent_id, key.actor, timezone.now())
        if isinstance(cancelled, Stop):
            return problem(cancelled.reason, cancelled.detail)
        cancelled.refresh_from_db()
        return Response(described(cancelled))


def _wait_of(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 2) or int(text) > LONGEST_WAIT_S:
        raise Refusal("invalid_parameter", f"wait is a whole number of seconds, at most {LONGEST_WAIT_S}.")
    return float(text)
