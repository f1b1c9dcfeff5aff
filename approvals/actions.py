"""What people and agents do to a pending action: vote and cancel. Check, change and event in one transaction."""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from approvals.models import PendingAction, Vote
from approvals.states import Status
from approvals.transitions import changed_since, end, may_be_carried_on, move, revoke_changed
from telemetry.recorder import Actor, Subject, record_event
from tools.contract import Stop, deny
from tools.models import AccessSubject

log = logging.getLogger(__name__)
LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Decided:
    """Where the action stands after a vote."""

    action: PendingAction
    approvals: int

    @property
    def approved(self) -> bool:
        return self.action.status == Status.APPROVED

    @property
    def rejected(self) -> bool:
        return self.action.status == Status.REJECTED


def is_eligible(action: PendingAction, user: Any) -> bool:
    """Whether this person's vote counts at all: by group where the policy names groups, else by permission."""
    if not user.is_active:
        return False
    if action.eligible_groups:
        return bool(user.groups.filter(name__in=action.eligible_groups).exists())
    return bool(user.has_perm("approvals.decide_pendingaction"))


def is_own(action: PendingAction, user: Any) -> bool:
    """Whether this person may have asked: they own the key or the agent, or could act as either.

    Those could who were shown the key's secret, or said whose access tokens act as the agent.
    """
    return (
        user.pk in (action.owner_id, action.agent.owner_id, action.agent_key.issued_by_id)
        or AccessSubject.objects.of_agent(action.agent_id).filter(mapped_by=user).exists()
    )


def decide(  # noqa: PLR0913 (who, what and how; each is part of the vote)
    action_id: Any,
    user: Any,
    *,
    approve: bool,
    reason: str,
    via: str,
    now: dt.datetime,
    seen_digest: str | None = None,
    access_subject: str = "",
) -> Decided | Stop:
    """T1: the vote stands, and with the quorum the decision. Otherwise a Stop, and nothing changed.

    `access_subject`: whose access token spoke for the person. Locks: the action's row, so that votes are counted one
    after the other.
    """
    reason = reason[:LONGEST_REASON]
    with transaction.atomic():
        action = (
            PendingAction.objects.select_for_update(of=("self",))
            .select_related("tool", "agent", "policy_revision__policy", "agent_key", "proposal")
            .filter(pk=action_id)
            .first()
        )
        if action is None or not (is_eligible(action, user) or is_own(action, user)):
            return deny("unknown_action")
        refusal = _refusal(action, user, approve=approve, seen_digest=seen_digest)
        if refusal:
            return refusal
        if approve and (changed := changed_since(action, now)):
            return deny(changed, "What was asked for could not run now; nothing was decided.")
        if not PendingAction.objects.filter(pk=action.pk, expires_at__gt=Now()).exists():
            return deny("action_expired", "The time to decide is over.")
        Vote(
            pending_action=action,
            operator=user,
            operator_name=user.get_username(),
            approve=approve,
            reason=reason,
            args_digest=action.args_digest,
            via=via,
            created_at=now,
        ).save(force_insert=True)
        actor = Actor("operator", str(user.pk), user.get_username(), access_subject)
        count = action.votes.filter(approve=True).count()
        if not approve:
            end(
                action,
                Status.PENDING,
                Status.REJECTED,
                now,
                actor=actor,
                code="action_rejected",
                why=reason,
                decided_at=now,
            )
        elif count >= action.quorum:
            if not _approved(action, actor, reason, now):
                transaction.set_rollback(True)
                return deny("action_expired", "The time to decide is over.")
        else:
            _record_vote(action, actor, count, reason, now)
        return Decided(action, count)


def _approved(action: PendingAction, actor: Actor, why: str, now: dt.datetime) -> bool:
    """The quorum is reached. A proposal's time to be committed begins now; a held call is run at once."""
    until: dict[str, Any] = {}
    if action.proposal is not None:
        # Whole seconds, as its token says.
        until = {"expires_at": now.replace(microsecond=0) + dt.timedelta(seconds=action.proposal.commit_within_s)}
    return move(action, Status.PENDING, Status.APPROVED, actor=actor, why=why, unexpired=True, decided_at=now, **until)


def _refusal(action: PendingAction, user: Any, *, approve: bool, seen_digest: str | None) -> Stop | None:
    if action.status == Status.EXPIRED:
        return deny("action_expired", "The time to decide is over.")
    if action.status != Status.PENDING:
        return deny("already_decided", f"The action is {action.get_status_display().lower()}.", status=action.status)
    if seen_digest is not None and seen_digest != action.args_digest:
        return deny("stale_digest")
    if approve and is_own(action, user) and not action.self_confirm:
        return deny("own_request", "Somebody else must agree to what your own key asked for.")
    if not is_eligible(action, user):
        return deny("voter_not_eligible")
    if action.votes.filter(operator=user).exists():
        return deny("already_voted")
    return None


def _record_vote(action: PendingAction, actor: Actor, count: int, why: str, now: dt.datetime) -> None:
    record_event(
        "action.voted",
        actor,
        Subject("pending_action", str(action.pk), action.tool.name),
        trace_id=action.trace_id,
        data={"approvals": count, "quorum": action.quorum, "args_sha256": action.args_digest, "why": why},
        now=now,
    )


def cancel(action_id: Any, agent_id: int, actor: Actor, now: dt.datetime) -> PendingAction | Stop:
    """The agent's own pending action is cancelled; anybody else's is as if it were not there."""
    action = PendingAction.objects.select_related("tool").asked_by(agent_id).filter(pk=action_id).first()
    if action is None:
        return deny("unknown_action")
    if not end(action, Status.PENDING, Status.CANCELLED, now, actor=actor, code="action_cancelled", decided_at=now):
        return deny("already_decided")
    return action


def expire_overdue(now: dt.datetime) -> int:
    """Every action past its time is expired; how many. Safe to run twice at once."""
    overdue = PendingAction.objects.select_related("tool").overdue()
    return sum(_ended(action, Status.EXPIRED, "action_expired", now) for action in overdue)


def recover_lapsed(now: dt.datetime) -> int:
    """Every run whose lease lapsed, and that may not be carried on, is `unknown`: whether it ran is not known.

    What may be carried on is left for observatory/approved.py, in this sweep or the next.
    """
    lapsed = PendingAction.objects.select_related("tool", "policy_revision", "proposal").lapsed()
    over = [action for action in lapsed if not may_be_carried_on(action, now)]
    return sum(_ended(action, Status.UNKNOWN, "outcome_unknown", now) for action in over)


def revoke_what_changed(now: dt.datetime) -> int:
    """Every approval that could not run any more is revoked; how many. A commit would find the same."""
    waiting = PendingAction.objects.approved().values_list("pk", flat=True)
    return sum(_revoked(pk, now) for pk in list(waiting))


def _revoked(action_id: Any, now: dt.datetime) -> bool:
    try:
        return revoke_changed(action_id, now)
    except Exception:
        log.exception("approved action %s could not be looked at", action_id)
        return False


def _ended(action: PendingAction, new: Status, code: str, now: dt.datetime) -> bool:
    """As `end`, where it still is as it was read; one action that can't be ended holds up no other."""
    try:
        return end(action, Status(action.status), new, now, code=code, under_fence=action.fence)
    except Exception:
        log.exception("action %s could not be ended as %s", action.pk, new)
        return False
