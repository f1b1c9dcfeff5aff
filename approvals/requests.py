"""A held call becomes a pending action: everything a decision rests on, as it is now."""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from approvals.held_answer import held_body
from approvals.models import PendingAction
from approvals.notices import queue_notice
from telemetry.models import Payload
from telemetry.recorder import Actor, Subject, masked_json, record_event, store_payload
from tools import idempotency
from tools.contract import ToolCall

ARGUMENTS_KEPT_FOR = dt.timedelta(days=7)
DEFAULT_EXPIRY_S = 3600


def request_action(call: ToolCall) -> Mapping[str, Any]:
    """The pending action, its arguments and its claim are part of the running transaction.

    Raises ClaimLostError where the same intention was claimed meanwhile.
    """
    assert call.key and call.tool and call.decision
    now, terms, action_id = call.received_at, call.decision.approval, uuid.uuid4()
    expires_at = now + dt.timedelta(seconds=terms.expires_in_s or DEFAULT_EXPIRY_S)
    claim = idempotency.claim(call, now, held_by=str(action_id), held_until=expires_at)
    action = PendingAction(
        id=action_id,
        agent_id=call.key.agent_id,
        agent_key_id=call.key.id,
        owner_id=call.key.owner_id,
        tool_id=call.tool.id,
        tool_version_id=call.tool.version_id,
        policy_revision_id=call.decision.revision_id,
        rule=call.decision.rule[:120],
        arguments=store_payload(Payload.Purpose.ARGUMENTS, call.canonical, expires_at + ARGUMENTS_KEPT_FOR, now),
        args_digest=call.digest,
        args_masked=masked_json({"arguments": dict(call.arguments)}),
        quorum=max(terms.quorum, 1),
        eligible_groups=list(terms.groups),
        # What a rule could not decide is for somebody else, whatever the policy says of confirming for oneself.
        self_confirm=call.decision.self_confirm and not call.decision.errors,
        trace_id=call.trace.trace_id,
        created_at=now,
        expires_at=expires_at,
    )
    action.save(force_insert=True)
    queue_notice(action, now)
    body = held_body(call.tool, str(action_id), expires_at.isoformat(), action.quorum)
    if claim:
        answer = idempotency.store_answer(body, "", {}, now, until=expires_at)
        idempotency.remember_held(claim, answer)
    record_event(
        "action.requested",
        Actor("agent", call.key.public_id, call.key.agent_name),
        Subject("pending_action", str(action_id), call.tool.name),
        trace_id=call.trace.trace_id,
        data={"args_sha256": call.digest, "quorum": action.quorum, "groups": action.eligible_groups},
        now=now,
    )
    return {"body": body, "pending_action_id": str(action_id)}
