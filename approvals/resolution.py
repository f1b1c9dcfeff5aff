"""What was cut off is settled by a person who looked it up: done or not done, with evidence, and for ever."""

import datetime as dt
from typing import Any

from django.db import transaction

from approvals.actions import is_own
from approvals.models import PendingAction
from approvals.states import Status
from approvals.transitions import move
from telemetry.recorder import Actor
from tools import idempotency
from tools.contract import Stop, deny

MAY_RESOLVE = "approvals.resolve_pendingaction"
SHORTEST_EVIDENCE, LONGEST_EVIDENCE = 10, 2_000


def resolve(action_id: Any, user: Any, *, done: bool, evidence: str, now: dt.datetime) -> PendingAction | Stop:
    """The action is `done` or `failed` by this person's finding, and a repeat of its key is told so. Nothing runs.

    Locks: the action's row, so that a worker that comes back late and a second person are waited for.
    """
    evidence = evidence.strip()
    with transaction.atomic():
        action = (
            PendingAction.objects.select_for_update(of=("self",))
            .select_related("tool", "agent", "agent_key")
            .filter(pk=action_id)
            .first()
        )
        if action is None or not (user.is_active and user.has_perm(MAY_RESOLVE)):
            return deny("unknown_action")
        if refusal := _refusal(action, user, evidence):
            return refusal
        code = "resolved_done" if done else "resolved_failed"
        about = {"pending_action_id": str(action.pk)}
        found = idempotency.store_answer({}, "", about | {"evidence": evidence}, now)
        actor = Actor("operator", str(user.pk), user.get_username())
        new = Status.DONE if done else Status.FAILED
        if not move(action, Status.UNKNOWN, new, actor=actor, reason=code, why=evidence, result=found):
            raise AssertionError("the row is locked and was unknown")
        # The agent is told what was found, not in whose words.
        told = idempotency.store_answer({}, "", about, now)
        idempotency.follow_action(action.pk, code, told, now, was_unclear=True)
        return action


def _refusal(action: PendingAction, user: Any, evidence: str) -> Stop | None:
    if action.status != Status.UNKNOWN:
        return deny("already_decided", f"The action is {action.get_status_display().lower()}.", status=action.status)
    if is_own(action, user) and not action.self_confirm:
        return deny("own_request", "Somebody else must settle what your own key asked for.")
    if not SHORTEST_EVIDENCE <= len(evidence) <= LONGEST_EVIDENCE:
        return deny("invalid_parameter", f"Evidence has {SHORTEST_EVIDENCE} to {LONGEST_EVIDENCE} characters.")
    return None
