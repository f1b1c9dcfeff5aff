"""What a pending action came to, as the result that its call would have had."""

import datetime as dt
from typing import Any

from approvals.models import PendingAction
from approvals.reading import read_proposal
from approvals.states import Status
from observatory.approved import trace_of
from observatory.doors.mcp.tool_results import refused, result, result_of
from observatory.doors.problem import document
from tools.contract import Outcome
from tools.idempotency import stored_answer
from tools.reasons import reason
from tools.snapshot import KeyView, Snapshot

# Ended before anybody could commit it.
NEVER_COMMITTED = (Status.REJECTED, Status.EXPIRED, Status.REVOKED, Status.CANCELLED)


def ended_result(action: PendingAction, key: KeyView, snapshot: Snapshot, now: dt.datetime) -> dict[str, Any]:
    """Shape: CallToolResult. Of an action that nobody but its own agent has to do anything about. Raises RpcError."""
    return {"resultType": "complete", **_ended(action, key, snapshot, now)}


def _ended(action: PendingAction, key: KeyView, snapshot: Snapshot, now: dt.datetime) -> dict[str, Any]:
    if action.proposal_id is not None and action.status not in NEVER_COMMITTED:
        return _proposal(action, key, snapshot, now)
    stored = stored_answer(action.result)
    if action.status == Status.DONE and not action.reason and stored is None:
        gone = document(reason("not_found"), "It ran; its answer is not kept any more.", action.trace_id)
        return refused({"pending_action_id": str(action.pk), **gone}, trace_of(action))
    outcome = Outcome(
        reason=reason(action.reason or "allowed"),
        body=stored["body"] if stored else {},
        trace=trace_of(action),
        detail=stored["detail"] if stored else "",
        # Not the stored ones: an operator's evidence is not for the agent.
        facts={"pending_action_id": str(action.pk)},
    )
    return result_of(outcome, outcome.trace, snapshot.tools.get(action.tool.name))


def _proposal(action: PendingAction, key: KeyView, snapshot: Snapshot, now: dt.datetime) -> dict[str, Any]:
    """As `GET /proposals/<id>` answers, with its token while it may be committed."""
    found = read_proposal(action.pk, key, snapshot, now)
    if found is None:
        return refused(document(reason("unknown_proposal")), trace_of(action))
    return result(found, trace_of(action))
