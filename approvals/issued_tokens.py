"""Which token a proposal has. What it says is stored, the token is not: it is made again when its agent asks."""

import datetime as dt
import secrets
from dataclasses import dataclass

from django.conf import settings

from approvals.commit_token import Claims, mint
from approvals.models import CommitToken, PendingAction, Proposal, SigningKey
from approvals.signing_keys import active_key, signing_secret
from telemetry.recorder import Subject, record_event
from tools.snapshot import KeyView


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as its agent gets it."""

    text: str
    token_id: str
    expires_at: dt.datetime


def token_for(action: PendingAction, proposal: Proposal, asked_by: KeyView, now: dt.datetime) -> IssuedToken:
    """The proposal's token: the one that was issued while its key is honoured, else a new one, under the active key.

    Part of the running transaction, in which the action is approved. Two that are issued at once are two tokens for
    one proposal, and the burn takes one of them.
    """
    row = (
        CommitToken.objects.select_related("signing_key")
        .filter(proposal_id=proposal.pk)
        .exclude(signing_key__status=SigningKey.Status.REVOKED)
        .first()
    )
    if row is None:
        row = _issued(action, proposal, asked_by, now)
    claims = Claims(
        token_id=str(row.pk),
        proposal_id=str(proposal.pk),
        tool_name=action.tool.name,
        tool_args_hash=action.args_digest,
        issued_at=int(row.issued_at.timestamp()),
        expires_at=int(row.expires_at.timestamp()),
        nonce=row.nonce,
        composite_score=proposal.composite_score or 0.0,
        env=settings.ENVIRONMENT,
        agent_key=action.agent_key.public_id,
        policy_revision=action.policy_revision.number,
    )
    return IssuedToken(mint(claims, row.signing_key.kid, signing_secret(row.signing_key)), str(row.pk), row.expires_at)


def _issued(action: PendingAction, proposal: Proposal, asked_by: KeyView, now: dt.datetime) -> CommitToken:
    row = CommitToken(
        proposal=proposal,
        signing_key=active_key(),
        nonce=secrets.token_urlsafe(32),
        issued_at=now,
        expires_at=action.expires_at,
    )
    row.save(force_insert=True)
    record_event(
        "token.issued",
        asked_by.actor,
        Subject("pending_action", str(action.pk), action.tool.name),
        trace_id=action.trace_id,
        data={"proof_id": str(row.pk), "signed_by": row.signing_key.kid},
        now=now,
    )
    return row
