"""A held call becomes a pending action."""

import uuid
from collections.abc import Mapping
from typing import Any

from approvals.action_rows import action_of, time_to_decide
from approvals.held_answer import held_body
from approvals.notices import queue_notice
from approvals.states import Status
from telemetry.recorder import Subject, record_event
from tools import idempotency
from tools.contract import ToolCall


def request_action(call: ToolCall) -> Mapping[str, Any]:
    """The pending action, its arguments, its notice and its claim are part of the running transaction.

    Raises ClaimLostError where the same intention was claimed meanwhile.
    """
    assert call.key and call.tool and call.decision
    now, action_id = call.received_at, uuid.uuid4()
    expires_at = now + time_to_decide(call)
    claim = idempotency.claim(call, now, held_by=str(action_id), held_until=expires_at)
    action = action_of(call, action_id, Status.PENDING, expires_at)
    queue_notice(action, now)
    body = held_body(call.tool, str(action_id), expires_at.isoformat(), action.quorum)
    if claim:
        answer = idempotency.store_answer(body, "", {}, now, until=expires_at)
        idempotency.remember_held(claim, answer)
    record_event(
        "action.requested",
        call.key.actor,
        Subject("pending_action", str(action_id), call.tool.name),
        trace_id=call.trace.trace_id,
        data={"args_sha256": call.digest, "quorum": action.quorum, "groups": action.eligible_groups},
        now=now,
    )
    return {"body": body, "pending_action_id": str(action_id)}
