"""What an agent may read of its own proposals."""

import datetime as dt
import uuid
from typing import Any

from django.db import transaction

from approvals.arguments import full_arguments, masked_arguments
from approvals.issued_tokens import IssuedToken, token_for
from approvals.models import PendingAction
from approvals.proposal_answer import answer_of
from approvals.states import Status
from tools.idempotency import stored_answer
from tools.snapshot import KeyView, Snapshot


def proposal_id_of(text: str) -> uuid.UUID | None:
    """The id, in its one spelling; None for what is no id: such a proposal is unknown."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def read_proposal(
    proposal_id: uuid.UUID, asked_by: KeyView, snapshot: Snapshot, now: dt.datetime
) -> dict[str, Any] | None:
    """The proposal as its agent may know it, with its token while it may be committed; None where it is not theirs.

    Theirs: of the same agent, and of a tool that this very key may see. Locks: as `_locked`.
    """
    with transaction.atomic():
        action = _locked(proposal_id, asked_by)
        if action is None or action.proposal is None or not snapshot.lets(asked_by, action.tool.name):
            return None
        token = _token(action, asked_by, now)
    found = answer_of(action, action.proposal, _arguments(action), token)
    stored = stored_answer(action.result) if action.status == Status.DONE else None
    return found | ({"result": stored["body"]} if stored else {})


def token_again(proposal_id: str, asked_by: KeyView, now: dt.datetime) -> dict[str, str]:
    """The members of an answer that are stored nowhere; none where the proposal can't be committed any more."""
    with transaction.atomic():
        action = _locked(uuid.UUID(proposal_id), asked_by)
        token = _token(action, asked_by, now) if action is not None else None
    return {"commit_token": token.text, "token_id": token.token_id} if token else {}


def _locked(proposal_id: uuid.UUID, asked_by: KeyView) -> PendingAction | None:
    """The action of this agent's proposal. Locks: its row, so that it is still approved when its token is issued."""
    return (
        PendingAction.objects.asked_by(asked_by.agent_id)
        .exclude(proposal=None)
        .select_for_update(of=("self",))
        .select_related("proposal", "tool", "agent_key", "policy_revision", "arguments", "result")
        .filter(pk=proposal_id)
        .first()
    )


def _token(action: PendingAction, asked_by: KeyView, now: dt.datetime) -> IssuedToken | None:
    may_commit = action.status == Status.APPROVED and action.expires_at > now
    return token_for(action, action.proposal, asked_by, now) if may_commit and action.proposal else None


def _arguments(action: PendingAction) -> dict[str, Any]:
    """The agent's own arguments; masked once the full ones are not kept any more."""
    full = full_arguments(action)
    return masked_arguments(action.args_masked) if full is None else full
