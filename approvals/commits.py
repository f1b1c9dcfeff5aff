"""A commit, up to the burn: the token is genuine, the proposal is this agent's, the arguments are those, and it is
still approved. Every attempt leaves a row with its reason; of a forged token nothing is believed, and nothing is read.

Checks and their order. Source: shared wire contract, "Propose and commit".
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from approvals.commit_token import Claims, Genuine, verify
from approvals.models import Commit, Nonce, PendingAction
from approvals.signing_keys import is_honoured_for_now
from approvals.states import BURNT, Status
from approvals.transitions import Refused, burn_locked, locked_for_burn
from telemetry.canonical import canonical_bytes, digest
from telemetry.recorder import Actor, Ruling, Subject, record_event
from telemetry.trace_context import TraceContext
from tools import idempotency
from tools.arguments import split_confirm
from tools.contract import Door, Permit, Stop, ToolCall, Verdict
from tools.reasons import reason
from tools.snapshot import KeyView, Snapshot


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to commit, by a key that proved itself. `tool_name` only where the request names a tool."""

    proposal_id: uuid.UUID | None
    token: str
    arguments: Mapping[str, Any]
    key: KeyView
    snapshot: Snapshot
    trace: TraceContext
    now: dt.datetime
    idempotency_key: str | None = None
    tool_name: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The token is spent; whoever holds this runs the call, once."""

    commit_id: str
    permit: Permit


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing ran."""

    commit_id: str
    code: str
    detail: str = ""
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Repeated:
    """A commit with the same idempotency key came to this before."""

    commit_id: str
    stop: Stop


def accept(attempt: Attempt) -> Accepted | Refusal | Repeated:
    """The attempt is judged and on record; where it is accepted, the proposal is burnt and its nonce spent."""
    genuine = verify(attempt.token)
    if genuine is None:
        return _refused(attempt, None, "bad_signature")
    arguments, _ = split_confirm(attempt.snapshot.tools.get(genuine.claims.tool_name), attempt.arguments)
    sent = digest(canonical_bytes(arguments))
    is_theirs = _is_theirs(attempt, genuine.claims)
    # What ran is told again for as long as it is kept, also when the token is over.
    earlier = _earlier(attempt, genuine, arguments, sent) if is_theirs else None
    if earlier is not None:
        return earlier
    if genuine.claims.is_over(attempt.now):
        return _refused(attempt, genuine, "expired")
    if not is_theirs:
        return _refused(attempt, genuine, "unknown_proposal")
    if sent != genuine.claims.tool_args_hash:
        return _refused(attempt, genuine, "args_hash_mismatch")
    try:
        return _burnt(attempt, genuine, arguments, sent)
    except IntegrityError:
        # The nonce was spent, or the proposal was committed, by somebody whose row was not there to be seen.
        return _refused(attempt, genuine, "nonce_replay")
    except idempotency.ClaimLostError:
        return _refused(attempt, genuine, "idempotency_in_flight", retry_after_s=1)


def _is_theirs(attempt: Attempt, claims: Claims) -> bool:
    """The token is for the proposal that was addressed, and for the tool; the proposal is this agent's, and allowed.

    The key that commits may see the tool itself: that another key of its agent may is not enough.
    """
    if str(attempt.proposal_id) != claims.proposal_id or attempt.tool_name not in (None, claims.tool_name):
        return False
    if not attempt.snapshot.lets(attempt.key, claims.tool_name):
        return False
    theirs = PendingAction.objects.asked_by(attempt.key.agent_id).filter(pk=claims.proposal_id)
    return theirs.exclude(status=Status.BLOCKED).exclude(proposal=None).exists()


def _earlier(attempt: Attempt, genuine: Genuine, arguments: Mapping[str, Any], sent: str) -> Repeated | Refusal | None:
    """What the same idempotency key came to before; None without one, and for the first use of one."""
    call = _as_call(attempt, genuine.claims.tool_name, arguments, sent)
    if call is None or call.idempotency_key is None:
        return None
    problem = idempotency.key_problem(call.idempotency_key)
    if problem:
        return _refused(attempt, genuine, "invalid_parameter", problem)
    stop = idempotency.look_up(call, attempt.now)
    if stop is None:
        return None
    if stop.verdict is not Verdict.REPLAY:
        return _refused(attempt, genuine, stop.code, stop.detail, stop.facts.get("retry_after_s"))
    _refused(attempt, genuine, "idempotent_replay")
    first = Commit.objects.filter(proposal_id=genuine.claims.proposal_id, accepted=True).first()
    return Repeated(str(first.pk) if first else "", stop)


def _as_call(attempt: Attempt, tool_name: str, arguments: Mapping[str, Any], sent: str) -> ToolCall | None:
    """The commit as the call that idempotency speaks of; None where the tool is gone."""
    tool = attempt.snapshot.tools.get(tool_name)
    if tool is None:
        return None
    return ToolCall(
        tool_name=tool_name,
        arguments=arguments,
        door=Door.COMMIT,
        trace=attempt.trace,
        received_at=attempt.now,
        idempotency_key=attempt.idempotency_key,
        digest=sent,
        snapshot=attempt.snapshot,
        key=attempt.key,
        tool=tool,
        proposal_id=str(attempt.proposal_id),
    )


def _burnt(attempt: Attempt, genuine: Genuine, arguments: Mapping[str, Any], sent: str) -> Accepted | Refusal:
    """T2 with its nonce: all of it, or, with the reason on record, nothing.

    Locks: the policy row FOR SHARE, the action's row, then the signing key's row FOR SHARE.
    """
    with transaction.atomic():
        action = locked_for_burn(attempt.proposal_id)
        code = _why_not(action, genuine)
        if code or action is None:
            return _refused(attempt, genuine, code or "unknown_proposal")
        commit = _row(attempt, genuine, "allowed")
        proof = {"commit_id": str(commit.pk), "proof_id": genuine.claims.token_id}
        permit = burn_locked(action, Door.COMMIT, attempt.now, actor=_actor(attempt), facts=proof)
        if isinstance(permit, Refused):
            # Locked and approved, so only its time can have run out while this waited.
            return _refused(attempt, genuine, "expired" if permit.code == "already_decided" else permit.code)
        commit.save(force_insert=True)
        Nonce(
            nonce=genuine.claims.nonce,
            commit=commit,
            spent_at=attempt.now,
            expires_at=dt.datetime.fromtimestamp(genuine.claims.expires_at, dt.UTC),
        ).save(force_insert=True)
        call = _as_call(attempt, genuine.claims.tool_name, arguments, sent)
        if call is not None and call.idempotency_key is not None:
            idempotency.claim(call, attempt.now, held_by=permit.action_id)
        return Accepted(str(commit.pk), permit)


def _why_not(action: PendingAction | None, genuine: Genuine) -> str:
    """Why the locked action can't be burnt by this token, as a reason code; empty where it can as far as it knows."""
    if action is None:
        return "unknown_proposal"
    if not is_honoured_for_now(genuine.kid):
        return "bad_signature"
    status = Status(action.status)
    if status in BURNT:
        return "nonce_replay"
    if status is Status.EXPIRED:
        return "expired"
    if status is Status.REVOKED:
        return action.reason or "not_approved"
    if status is not Status.APPROVED:
        return "not_approved"
    # The database's clock, in a statement of its own, after the locks.
    return "" if PendingAction.objects.filter(pk=action.pk, expires_at__gt=Now()).exists() else "expired"


def _refused(
    attempt: Attempt, genuine: Genuine | None, code: str, detail: str = "", retry_after_s: int | None = None
) -> Refusal:
    """The attempt and its reason are on record. A token that is not genuine costs this one row and no event."""
    commit = _row(attempt, genuine, code)
    with transaction.atomic():
        commit.save(force_insert=True)
        if genuine is not None:
            record_event(
                "commit.refused",
                _actor(attempt),
                # What the token is for: whoever sends it to another address writes nothing into that one's history.
                Subject("pending_action", genuine.claims.proposal_id, genuine.claims.tool_name),
                ruling=Ruling(reason(code).decision, code),
                trace_id=attempt.trace.trace_id,
                data={"commit_id": str(commit.pk), "proof_id": genuine.claims.token_id},
                now=attempt.now,
            )
    return Refusal(str(commit.pk), code, detail, retry_after_s)


def _actor(attempt: Attempt) -> Actor:
    return attempt.key.actor


def _row(attempt: Attempt, genuine: Genuine | None, code: str) -> Commit:
    return Commit(
        id=uuid.uuid4(),
        proposal_id=attempt.proposal_id,
        token_id=genuine.claims.token_id if genuine else None,
        agent_id=attempt.key.agent_id,
        agent_key_id=attempt.key.id,
        accepted=code == "allowed",
        reason=code,
        trace_id=attempt.trace.trace_id,
        created_at=attempt.now,
    )
