"""What an agent reads of its proposal. The words of the first three forms are on the wire since the earlier system."""

from collections.abc import Mapping
from typing import Any

from approvals.issued_tokens import IssuedToken
from approvals.models import PendingAction, Proposal
from approvals.states import Status


def answer_of(
    action: PendingAction, proposal: Proposal, arguments: Mapping[str, Any], token: IssuedToken | None
) -> dict[str, Any]:
    """Shape: as CONTRACT says for allowed, blocked and pending_approval; any other status names itself and why."""
    if action.status == Status.BLOCKED:
        return blocked_answer(action, proposal, arguments)
    common = {
        "proposal_id": str(proposal.pk),
        "tool_name": action.tool.name,
        "tool_args": dict(arguments),
        **score_of(proposal),
        "expires_at": action.expires_at.isoformat(),
    }
    if token is not None:
        return {"status": "allowed", **common, "commit_token": token.text, "token_id": token.token_id}
    if action.status == Status.PENDING:
        return {
            "status": "pending_approval",
            **common,
            "pending_action_id": str(action.pk),
            "approvals_needed": action.quorum,
        }
    if action.status == Status.APPROVED:
        # Its time is over; the sweep has yet to say so.
        return {"status": Status.EXPIRED, "reason": "action_expired", **common}
    return {"status": "committed" if action.status == Status.DONE else action.status, "reason": action.reason, **common}


def blocked_answer(action: PendingAction, proposal: Proposal, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the same proposal, and nothing to commit. An argument called `tool` is only in `tool_args`."""
    return {
        "status": "blocked",
        "action": "create_draft",
        "reason": "low_integrity",
        "draft": {**arguments, "tool": action.tool.name},
        "proposal_id": str(proposal.pk),
        "tool_name": action.tool.name,
        "tool_args": dict(arguments),
        **score_of(proposal),
    }


def score_of(proposal: Proposal) -> dict[str, Any]:
    return {
        "composite_score": proposal.composite_score,
        "signals": {
            "output_instability": proposal.output_instability,
            "numeric_variance": proposal.numeric_variance,
            "prompt_drift": proposal.prompt_drift,
        },
    }
