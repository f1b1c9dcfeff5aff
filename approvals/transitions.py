"""The only writer of a pending action's status: compare-and-swap, one event, one transaction."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from approvals.models import PendingAction
from approvals.states import MOVES, Status
from telemetry.models import Payload
from telemetry.recorder import SYSTEM, Actor, Subject, record_event
from tools import idempotency
from tools.contract import Door, Permit
from tools.models import AgentKey, KillSwitch, Policy, Tool

LEASE = dt.timedelta(seconds=330)
EVENTS: dict[Status, str] = {status: f"action.{status.value}" for status in Status if status is not Status.PROPOSED}


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a move did not happen, as a reason code."""

    code: str


def move(  # noqa: PLR0913 (from where to where, by whom and why)
    action: PendingAction,
    old: Status,
    new: Status,
    *,
    actor: Actor = SYSTEM,
    reason: str = "",
    why: str = "",
    unexpired: bool = False,
    **fields: Any,
) -> bool:
    """True: the action went from `old` to `new`, and its one event is written. False: it was not in `old` any more."""
    if new not in MOVES[old]:
        raise ValueError(f"{old} never becomes {new}")
    with transaction.atomic():
        rows = PendingAction.objects.filter(pk=action.pk, status=old)
        if unexpired:
            # The time of this statement, which starts after any lock was waited for.
            rows = rows.filter(expires_at__gt=Now())
        if not rows.update(status=new, reason=reason, **fields):
            return False
        record_event(
            EVENTS[new],
            actor,
            Subject("pending_action", str(action.pk), action.tool.name),
            trace_id=action.trace_id,
            data={
                "from": old.value,
                "args_sha256": action.args_digest,
                **({"reason": reason} if reason else {}),
                **({"why": why} if why else {}),
            },
        )
    action.status, action.reason = new, reason
    return True


def burn(action_id: Any, now: dt.datetime) -> Permit | Refused:
    """T2: the approval is spent and the run has its lease, or why not. At most one caller ever gets the permit.

    Locks: the policy row FOR SHARE, then the action row; always in this order.
    """
    with transaction.atomic():
        action = (
            PendingAction.objects.select_related("policy_revision", "tool", "agent_key__owner")
            .filter(pk=action_id)
            .first()
        )
        if action is None:
            return Refused("unknown_action")
        with connection.cursor() as cursor:
            # A publish that runs now is waited for; one that starts now waits for us.
            cursor.execute("SELECT 1 FROM tools_policy WHERE id = %s FOR SHARE", [action.policy_revision.policy_id])
            cursor.execute("SELECT 1 FROM approvals_pendingaction WHERE id = %s FOR UPDATE", [action.pk])
        why_not = changed_since(action, now)
        if why_not:
            if not move(action, Status.APPROVED, Status.REVOKED, reason=why_not):
                return Refused("already_decided")
            _tell_record(action, why_not, now)
            return Refused(why_not)
        burnt = move(
            action,
            Status.APPROVED,
            Status.EXECUTING,
            unexpired=True,
            fence=F("fence") + 1,
            lease_until=Now() + LEASE,
        )
        if not burnt:
            return Refused("already_decided")
        action.refresh_from_db(fields=["fence"])
    return Permit(
        kind=Door.APPROVAL,
        action_id=str(action.pk),
        policy_revision_id=action.policy_revision_id,
        tool_version_id=action.tool_version_id,
        args_digest=action.args_digest,
        fence=action.fence,
    )


def changed_since(action: PendingAction, now: dt.datetime) -> str:
    """What changed since the agent asked, so that it may not run now, as a reason code; empty where nothing did."""
    if AgentKey.objects.select_related("owner").get(pk=action.agent_key_id).in_force(now) is None:
        return "key_revoked"
    if KillSwitch.objects.engaged().touching(agent_id=action.agent_id, tool_id=action.tool_id).exists():
        return "frozen"
    in_force = Policy.objects.values_list("current_revision_id", flat=True).get(pk=action.policy_revision.policy_id)
    if in_force != action.policy_revision_id:
        return "policy_changed"
    tool = Tool.objects.get(pk=action.tool_id)
    same = tool.current_version_id == action.tool_version_id and tool.enabled and not tool.requires_two_phase
    return "" if same else "tool_changed"


def record_result(permit: Permit, status: Status, code: str, result: Payload | None, now: dt.datetime) -> bool:
    """T3: the outcome stands, under the fence that ran it; False where a later fence has taken over."""
    action = PendingAction.objects.select_related("tool").get(pk=permit.action_id)
    with transaction.atomic():
        locked = PendingAction.objects.select_for_update().filter(pk=action.pk, fence=permit.fence).first()
        # A run that outlived its lease knows better than the sweep that gave it up.
        since = Status(locked.status) if locked else None
        if since not in (Status.EXECUTING, Status.UNKNOWN) or since == status:
            return False
        if not move(action, since, status, reason="" if code == "allowed" else code, result=result):
            return False
        if result is not None:
            idempotency.follow_action(permit.action_id, code, result, now)
        return True


def _tell_record(action: PendingAction, code: str, now: dt.datetime) -> None:
    answer = idempotency.store_answer({}, "", {"pending_action_id": str(action.pk)}, now)
    idempotency.follow_action(action.pk, code, answer, now)


def end(
    action: PendingAction,
    old: Status,
    new: Status,
    now: dt.datetime,
    *,
    actor: Actor = SYSTEM,
    code: str,
    **fields: Any,
) -> bool:
    """The action ends here, and a repeat of its idempotency key is told how."""
    with transaction.atomic():
        if not move(action, old, new, actor=actor, reason=code, **fields):
            return False
        _tell_record(action, code, now)
        return True
