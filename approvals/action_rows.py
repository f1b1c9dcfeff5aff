"""The row of a held call or a proposal: everything a decision will rest on, as it is now."""

import datetime as dt
import uuid

from approvals.models import PendingAction, Proposal
from approvals.states import Status
from telemetry.models import Payload
from telemetry.recorder import masked_json, store_payload
from tools.contract import ToolCall

ARGUMENTS_KEPT_FOR = dt.timedelta(days=7)
DEFAULT_EXPIRY_S = 3600


def time_to_decide(call: ToolCall) -> dt.timedelta:
    """How long people have, as the rules say."""
    assert call.decision
    return dt.timedelta(seconds=call.decision.approval.expires_in_s or DEFAULT_EXPIRY_S)


def action_of(
    call: ToolCall,
    action_id: uuid.UUID,
    status: Status,
    expires_at: dt.datetime,
    *,
    proposal: Proposal | None = None,
    waits: bool = True,
) -> PendingAction:
    """The pending action is part of the running transaction, and its arguments as a payload.

    Its quorum is 0 where it does not wait: nobody has to agree.
    """
    assert call.key and call.tool and call.decision
    now, terms = call.received_at, call.decision.approval
    action = PendingAction(
        id=action_id,
        proposal=proposal,
        status=status,
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
        quorum=max(terms.quorum, 1) if waits else 0,
        eligible_groups=list(terms.groups),
        # What a rule could not decide is for somebody else, whatever the policy says of confirming for oneself.
        self_confirm=call.decision.self_confirm and not call.decision.errors,
        trace_id=call.trace.trace_id,
        session_id=call.session_id or "",
        created_at=now,
        expires_at=expires_at,
    )
    action.save(force_insert=True)
    return action
