"""Where an agent's own pending action stands, at once or once somebody has done something about it."""

import threading
import time
import uuid
from typing import Any

from approvals.models import PendingAction
from approvals.states import OPEN, Status
from telemetry.connections import release_connection
from tools.contract import Stop, deny
from tools.idempotency import stored_answer
from tools.snapshot import KeyView, current

LONGEST_WAIT_S = 30
POLL_S = 0.25
# Waiting holds a thread, so that only so many may wait in one process; the others are answered at once.
_waiting = threading.BoundedSemaphore(16)


def action_of(key: KeyView, action_id: uuid.UUID, *, wait_s: float = 0) -> PendingAction | Stop:
    """The action once it has ended, or as it is when the time is over. Holds no database connection while it waits.

    Stops: unknown_action, also for another agent's; unauthenticated for a key that was revoked while it waited.
    """
    deadline = time.monotonic() + wait_s
    found = _look(key, action_id)
    if wait_s == 0 or isinstance(found, Stop) or not _waiting.acquire(blocking=False):
        return found
    try:
        while not isinstance(found, Stop) and _goes_on(found) and time.monotonic() < deadline:
            release_connection()
            time.sleep(min(POLL_S, max(deadline - time.monotonic(), 0)))
            found = _look(key, action_id)
        return found
    finally:
        _waiting.release()


def _look(key: KeyView, action_id: uuid.UUID) -> PendingAction | Stop:
    if current().keys_by_public_id.get(key.public_id) is None:
        return deny("unauthenticated")
    rows = PendingAction.objects.select_related("tool", "result").asked_by(key.agent_id)
    return rows.filter(pk=action_id).first() or deny("unknown_action")


def _goes_on(action: PendingAction) -> bool:
    """Somebody else has yet to do something. An approved proposal waits for its own agent."""
    if action.status == Status.APPROVED and action.proposal_id is not None:
        return False
    return action.status in (*OPEN, Status.EXECUTING)


def described(action: PendingAction) -> dict[str, Any]:
    """Shape: pending_action_id, tool, status, reason, approvals, approvals_needed, expires_at, result or null."""
    stored = stored_answer(action.result)
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
        **({"proposal_id": str(action.proposal_id)} if action.proposal_id is not None else {}),
    }
