"""The tasks extension: what waits for a person is a task that its client polls. Source: SEP-2663.

A task is a pending action; its id is the task's. A refusal is `completed` with an error result, as the extension
wants it: `failed` is for errors of the protocol.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import HEADER_MISMATCH, INVALID_PARAMS

from approvals import actions
from approvals.models import PendingAction
from approvals.states import OPEN, Status
from observatory.action_status import action_of
from observatory.calling import Answer
from observatory.doors.mcp.capabilities import require_tasks
from observatory.doors.mcp.ended_actions import ended_result
from observatory.doors.mcp.messages import Message, RpcError
from tools.contract import Outcome, Stop
from tools.idempotency import KEPT_FOR
from tools.snapshot import KeyView, Snapshot

POLL_INTERVAL_MS = 1_000


def waiting_action(answer: Answer, key: KeyView) -> PendingAction | None:
    """The pending action of a held call or a waiting proposal."""
    if not isinstance(answer, Outcome) or answer.reason.code != "approval_required":
        return None
    try:
        found = action_of(key, uuid.UUID(str(answer.body.get("pending_action_id"))))
    except ValueError:
        # A rule that masks it was published since.
        return None
    return None if isinstance(found, Stop) else found


def created(action: PendingAction) -> dict[str, Any]:
    """The seed of the task: what it came to, if it did already, is asked for by `tasks/get`."""
    return {"resultType": "task", **_task(action, "working")}


def got(message: Message, key: KeyView, snapshot: Snapshot) -> Mapping[str, Any]:
    """`tasks/get`. Raises RpcError."""
    action = _asked_for(message, key)
    if _goes_on(action):
        return _task(action, "working")
    if action.status == Status.CANCELLED:
        return _task(action, "cancelled")
    try:
        return {**_task(action, "completed"), "result": ended_result(action, key, snapshot, timezone.now())}
    except RpcError as error:
        return {**_task(action, "failed"), "error": error.as_json(None)["error"]}


def updated(message: Message, key: KeyView) -> Mapping[str, Any]:
    """`tasks/update`. A task of ours asks its client for nothing, so that every answer is one too many: ignored."""
    _asked_for(message, key)
    return {}


def cancelled(message: Message, key: KeyView) -> Mapping[str, Any]:
    """`tasks/cancel`. What nobody has decided is cancelled; what goes on or has ended stays: only the wish is told."""
    action = _asked_for(message, key)
    actions.cancel(action.pk, key.agent_id, key.actor, timezone.now())
    return {}


def _asked_for(message: Message, key: KeyView) -> PendingAction:
    """Another agent's is as if it were not there."""
    task_id: str = message.params["taskId"]
    if decode_header_value(message.headers.get(MCP_NAME_HEADER)) != task_id:
        raise RpcError(HEADER_MISMATCH, "The Mcp-Name header is not params.taskId.")
    require_tasks(message)
    try:
        found = action_of(key, uuid.UUID(task_id))
    except ValueError:
        found = None
    if not isinstance(found, PendingAction):
        raise RpcError(INVALID_PARAMS, "Task not found")
    return found


def _goes_on(action: PendingAction) -> bool:
    """Somebody else has yet to do something. A proposal has its answer once it may be committed."""
    if action.proposal_id is not None:
        return action.status == Status.PENDING
    return action.status in (*OPEN, Status.EXECUTING)


def _task(action: PendingAction, status: str) -> dict[str, Any]:
    ended_at = action.result.created_at if action.result else action.created_at
    updated_at = max(action.created_at, action.decided_at or action.created_at, ended_at)
    until = action.result.expires_at if action.result else action.expires_at + KEPT_FOR
    return {
        "taskId": str(action.pk),
        "status": status,
        "statusMessage": _message(action),
        "createdAt": _moment(action.created_at),
        "lastUpdatedAt": _moment(updated_at),
        "ttlMs": int((until - action.created_at).total_seconds() * 1000),
        "pollIntervalMs": POLL_INTERVAL_MS,
    }


def _message(action: PendingAction) -> str:
    label = action.get_status_display()
    if action.status != Status.PENDING:
        return f"{label}: {action.reason}." if action.reason else f"{label}."
    agreed = action.votes.filter(approve=True).count()
    return f"{label}: {agreed} of {action.quorum} agreed." if action.quorum > 1 else f"{label}."


def _moment(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
