"""The only writer of a pending action's status: compare-and-swap, one event, one transaction."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from approvals.integrity import needs_outputs
from approvals.models import PendingAction, Proposal
from approvals.states import MOVES, Status
from telemetry.models import Payload
from telemetry.recorder import SYSTEM, Actor, Subject, record_event
from tools import idempotency
from tools.contract import Door, Permit, Ran
from tools.models import AgentKey, KillSwitch, Policy, Tool
from tools.scopes import Scope

LEASE = dt.timedelta(seconds=330)
# The first run and two more; what was cut off three times is for an operator to look at.
MOST_RUNS = 3
NO_FACTS: Mapping[str, str] = {}
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
    under_fence: int | None = None,
    facts: Mapping[str, str] = NO_FACTS,
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
        if under_fence is not None:
            rows = rows.filter(fence=under_fence)
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
                **facts,
            },
        )
    action.status, action.reason = new, reason
    return True


def burn(action_id: Any, now: dt.datetime) -> Permit | Refused:
    """T2 of a held call: the approval is spent and the run has its lease, or why not. One caller ever gets the permit.

    A proposal is refused: only its commit burns it. Locks: as `locked_for_burn`.
    """
    with transaction.atomic():
        action = locked_for_burn(action_id)
        if action is None:
            return Refused("unknown_action")
        if action.proposal_id is not None:
            return Refused("two_phase_required")
        return burn_locked(action, Door.APPROVAL, now)


def locked_for_burn(action_id: Any) -> PendingAction | None:
    """The action as it is once both locks are held: the policy row FOR SHARE, then its own row; always in this order.

    A publish that runs now is waited for; one that starts now waits for the running transaction.
    """
    rows = PendingAction.objects.filter(pk=action_id)
    policy_id = rows.values_list("policy_revision__policy_id", flat=True).first()
    if policy_id is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM tools_policy WHERE id = %s FOR SHARE", [policy_id])
    # The row as it is after the wait; what is joined may be older and is asked again by changed_since.
    return rows.select_for_update(of=("self",)).select_related("policy_revision", "tool", "proposal").get()


def burn_locked(
    action: PendingAction, kind: Door, now: dt.datetime, *, actor: Actor = SYSTEM, facts: Mapping[str, str] = NO_FACTS
) -> Permit | Refused:
    """The burn itself, of an action that `locked_for_burn` answered in the running transaction."""
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
        actor=actor,
        facts=facts,
        unexpired=True,
        fence=action.fence + 1,
        lease_until=Now() + LEASE,
    )
    return _permit(action, kind) if burnt else Refused("already_decided")


def _permit(action: PendingAction, kind: Door) -> Permit:
    """For the run under the next fence, of a row that is locked."""
    return Permit(
        kind=kind,
        action_id=str(action.pk),
        policy_revision_id=action.policy_revision_id,
        tool_version_id=action.tool_version_id,
        args_digest=action.args_digest,
        fence=action.fence + 1,
    )


def may_be_carried_on(action: PendingAction, now: dt.datetime) -> bool:
    """A cut-off run may begin again: its operators say that twice is as once, and nothing it rests on has changed."""
    return action.tool.idempotent and action.fence < MOST_RUNS and not changed_since(action, now)


def take_over(action_id: Any, now: dt.datetime) -> Permit | None:
    """A run that was cut off begins again under the next fence; None where it may not, and then nothing changed.

    At most `MOST_RUNS` times. The status stays: it is the same burn, carried on. Locks: as `locked_for_burn`.
    """
    with transaction.atomic():
        action = locked_for_burn(action_id)
        if action is None or not may_be_carried_on(action, now):
            return None
        lapsed = PendingAction.objects.filter(pk=action.pk).lapsed()
        if not lapsed.update(fence=F("fence") + 1, lease_until=Now() + LEASE):
            return None
        permit = _permit(action, Door.COMMIT if action.proposal_id else Door.APPROVAL)
        record_event(
            "action.retried",
            SYSTEM,
            Subject("pending_action", str(action.pk), action.tool.name),
            trace_id=action.trace_id,
            data={"fence": permit.fence, "args_sha256": action.args_digest},
            now=now,
        )
        return permit


def revoke_changed(action_id: Any, now: dt.datetime) -> bool:
    """An approval that could not run any more is revoked, with the reason; False where nothing had changed."""
    with transaction.atomic():
        action = locked_for_burn(action_id)
        if action is None or action.status != Status.APPROVED:
            return False
        why = changed_since(action, now)
        return bool(why) and end(action, Status.APPROVED, Status.REVOKED, now, code=why)


def changed_since(action: PendingAction, now: dt.datetime) -> str:
    """What changed since the agent asked, so that it may not run now, as a reason code; empty where nothing did."""
    key = AgentKey.objects.select_related("owner").get(pk=action.agent_key_id).in_force(now)
    if key is None:
        return "key_revoked"
    if Scope.TOOLS_CALL not in key.scopes:
        return "scope_missing"
    if KillSwitch.objects.engaged().touching(agent_id=action.agent_id, tool_id=action.tool_id).exists():
        return "frozen"
    in_force = Policy.objects.values_list("current_revision_id", flat=True).get(pk=action.policy_revision.policy_id)
    if in_force != action.policy_revision_id or key.policy_id != action.policy_revision.policy_id:
        return "policy_changed"
    tool = Tool.objects.select_related("upstream_tool").get(pk=action.tool_id)
    same = tool.current_version_id == action.tool_version_id and tool.enabled
    if not tool.is_as_accepted:
        return "tool_quarantined"
    return "" if same and _passed_what_is_asked_now(action, tool) else "tool_changed"


def _passed_what_is_asked_now(action: PendingAction, tool: Tool) -> bool:
    """What the tool's settings ask of a call today was asked of this one: two phases, a person, a score of weight."""
    if action.proposal is None:
        return not tool.requires_two_phase
    # While it waits a person is being asked; afterwards somebody must have been.
    waits = action.status == Status.PENDING
    if tool.requires_approval and not (waits or action.self_confirm or action.votes.exists()):
        return False
    return not needs_outputs(tool.risk) or action.proposal.candidate_source == Proposal.Source.MODEL


def ended_as(permit: Permit, ran: Ran, code: str) -> tuple[Status, str]:
    """What a run comes to, and its reason. That the second run did nothing says nothing of the first."""
    if ran is Ran.NO and permit.fence > 1:
        return Status.UNKNOWN, "outcome_unknown"
    return {Ran.YES: Status.DONE, Ran.NO: Status.FAILED, Ran.UNKNOWN: Status.UNKNOWN}[ran], code


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
