"""A held call that the agent's own user may confirm: asked by the call's answer, confirmed by the call's repeat.

Source: MCP 2026-07-28, multi round-trip requests. The pending action is there all the while, so that an operator may
decide it too; whoever is first decides it.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from mcp_types import INVALID_PARAMS

from approvals import actions
from approvals.models import PendingAction
from approvals.own_confirm import confirm, may_be_confirmed
from approvals.states import OPEN, Status
from observatory.action_status import action_of, described
from observatory.approved import run_approved
from observatory.doors.key_authentication import record_refusal
from observatory.doors.mcp.capabilities import declares_tasks, shows_forms
from observatory.doors.mcp.ended_actions import ended_result
from observatory.doors.mcp.messages import Message, RpcError
from observatory.doors.mcp.sealed_state import Question, opened, sealed
from observatory.doors.mcp.tasks import created
from observatory.doors.mcp.tool_results import result, result_of, stopped
from telemetry.canonical import canonical_bytes, digest
from telemetry.visible import pretty, visible
from tools.contract import Outcome, Stop, ToolCall
from tools.snapshot import KeyView, Snapshot

ANSWER = "confirm"
APPROVE = "approve"
FORM: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        APPROVE: {"type": "boolean", "title": "Run it", "description": "Run exactly this call, once."},
    },
    "required": [APPROVE],
}


def question_instead(action: PendingAction, call: ToolCall, message: Message, key: KeyView) -> dict[str, Any] | None:
    """The form that the key's own user may confirm this waiting call with; None where somebody else has to."""
    return _asked(action, call) if shows_forms(message) and may_be_confirmed(action, key) else None


def _asked(action: PendingAction, call: ToolCall) -> dict[str, Any]:
    question = Question(
        action_id=str(action.pk),
        key=action.agent_key.public_id,
        tool=call.tool_name,
        args_sha256=_digest(call),
        expires_at=int(action.expires_at.timestamp()),
    )
    form = {"mode": "form", "message": _message(action, call), "requestedSchema": FORM}
    return {
        "resultType": "input_required",
        "inputRequests": {ANSWER: {"method": "elicitation/create", "params": form}},
        "requestState": sealed(question),
    }


def _message(action: PendingAction, call: ToolCall) -> str:
    """Everything that would run, in full, with nothing in it that hides."""
    return (
        f"{visible(action.agent.name)} asks to run {call.tool_name}, which waits for a person:"
        f" {visible(action.rule)}.\nIt would run with exactly these arguments:\n{pretty(dict(call.arguments))}"
    )


def answered_question(state: str, call: ToolCall, message: Message, key: KeyView, snapshot: Snapshot) -> dict[str, Any]:
    """What the repeat of a call came to, with its user's answer. Raises RpcError for a state that is not this call's.

    A state that was used before tells what came of it; nothing runs twice.
    """
    question = opened(state)
    if question is None or not _is_of(question, call, key):
        record_refusal(key, "invalid_parameter", f"requestState of {call.tool_name}")
        raise RpcError(INVALID_PARAMS, "Invalid or expired requestState", {"reason": "invalid_request_state"})
    action_id, now, said = uuid.UUID(question.action_id), call.received_at, _said(message)
    if said is None:
        return _asked_again(action_id, call, message, key, snapshot)
    if not said:
        actions.cancel(action_id, key.agent_id, key.actor, now)
        return _as_it_stands(action_id, call, message, key, snapshot)
    decided = confirm(action_id, key, now)
    if isinstance(decided, Stop) and decided.code != "already_decided":
        return stopped(decided, call.trace, pending_action_id=question.action_id)
    outcome = run_approved(action_id, now) if not isinstance(decided, Stop) else None
    if isinstance(outcome, Outcome):
        return result_of(outcome, outcome.trace)
    return _as_it_stands(action_id, call, message, key, snapshot)


def _is_of(question: Question, call: ToolCall, key: KeyView) -> bool:
    return (
        question.key == key.public_id
        and question.tool == call.tool_name
        and question.args_sha256 == _digest(call)
        and question.expires_at > call.received_at.timestamp()
    )


def _digest(call: ToolCall) -> str:
    """Of the arguments as they were sent: a repeat sends the same."""
    return digest(canonical_bytes(dict(call.arguments)))


def _said(message: Message) -> bool | None:
    """Yes or no; None where the question is not answered. Only a ticked form that was sent off is a yes."""
    answers = message.params.get("inputResponses")
    answer = answers.get(ANSWER) if isinstance(answers, Mapping) else None
    if not isinstance(answer, Mapping):
        return None
    if answer.get("action") != "accept":
        return False
    content = answer.get("content")
    approve = content.get(APPROVE) if isinstance(content, Mapping) else None
    return approve if isinstance(approve, bool) else None


def _asked_again(
    action_id: uuid.UUID, call: ToolCall, message: Message, key: KeyView, snapshot: Snapshot
) -> dict[str, Any]:
    found = action_of(key, action_id)
    if isinstance(found, Stop):
        return stopped(found, call.trace)
    return question_instead(found, call, message, key) or _as_it_stands(action_id, call, message, key, snapshot)


def _as_it_stands(
    action_id: uuid.UUID, call: ToolCall, message: Message, key: KeyView, snapshot: Snapshot
) -> dict[str, Any]:
    """What came of the action, or where it stands while somebody else still runs or decides it."""
    action = action_of(key, action_id)
    if isinstance(action, Stop):
        return stopped(action, call.trace)
    if action.status in (*OPEN, Status.EXECUTING):
        return created(action) if declares_tasks(message) else result(described(action), call.trace)
    return ended_result(action, key, snapshot, dt.datetime.now(dt.UTC))
