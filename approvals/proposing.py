"""A call that is only proposed: scored, recorded as an immutable proposal, and answered. Nothing runs."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from approvals.action_rows import ARGUMENTS_KEPT_FOR, action_of, time_to_decide
from approvals.integrity import Assessment, assess
from approvals.issued_tokens import token_for
from approvals.models import PendingAction, Proposal
from approvals.notices import queue_notice
from approvals.proposal_answer import answer_of
from approvals.reading import token_again
from approvals.states import Status
from approvals.transitions import move
from telemetry.canonical import canonical_bytes
from telemetry.models import Payload
from telemetry.recorder import Subject, masked_json, record_event, store_payload
from telemetry.redaction import redact_text
from telemetry.visible import visible
from tools import idempotency
from tools.contract import Stop, ToolCall, Verdict

WHY = {Status.BLOCKED: "its score", Status.PENDING: "", Status.APPROVED: "nobody has to agree"}
# What is stored nowhere.
PROOF = ("commit_token", "token_id")
CODES = {Status.BLOCKED: "low_integrity", Status.PENDING: "approval_required", Status.APPROVED: "proposed"}


def propose(call: ToolCall, *, waits: bool) -> Stop:
    """The proposal as a Stop that records it; `waits` where a person must agree before it may be committed."""
    assessment = assess(call)
    if isinstance(assessment, Stop):
        return assessment
    status = Status.BLOCKED if assessment.blocked else Status.PENDING if waits else Status.APPROVED
    record = partial(_recorded, call, assessment, status)
    return Stop(Verdict.PROPOSE, CODES[status], "", {}, call, record)


def _recorded(call: ToolCall, assessment: Assessment, status: Status) -> Mapping[str, Any]:
    """Proposal, action, payloads, claim and, where it may be committed at once, its token: one transaction.

    Raises ClaimLostError where the same intention was claimed meanwhile.
    """
    assert call.key
    now = call.received_at
    claim = idempotency.claim(call, now)
    proposal = _proposal(call, assessment, now)
    proposal.save(force_insert=True)
    action = _action(call, proposal, status, now)
    why = WHY[status] if not call.confirmed_by_key else "confirmed by its own key, as the policy allows"
    moved = move(action, Status.PROPOSED, status, why=why)
    assert moved, "nobody else can see the row yet"
    if status is Status.PENDING:
        queue_notice(action, now)
    token = token_for(action, proposal, call.key, now) if status is Status.APPROVED else None
    body = answer_of(action, proposal, dict(call.arguments), token)
    facts = {"pending_action_id": str(action.pk)}
    if claim:
        kept = {name: value for name, value in body.items() if name not in PROOF}
        idempotency.settle(claim, CODES[status], idempotency.store_answer(kept, "", facts, now), now)
    return {"body": body, **facts}


def told_again(stop: Stop, now: dt.datetime) -> Stop:
    """The stored answer of a proposal with its token, which is made again and not stored with it."""
    assert stop.call and stop.call.key
    body = stop.facts.get("body")
    if not isinstance(body, dict) or body.get("status") != "allowed":
        return stop
    token = token_again(body["proposal_id"], stop.call.key, now)
    return replace(stop, facts={**stop.facts, "body": body | token})


def _proposal(call: ToolCall, assessment: Assessment, now: dt.datetime) -> Proposal:
    assert call.key and call.tool and call.decision and call.intent
    return Proposal(
        id=uuid.uuid4(),
        agent_id=call.key.agent_id,
        agent_key_id=call.key.id,
        tool_id=call.tool.id,
        tool_version_id=call.tool.version_id,
        policy_revision_id=call.decision.revision_id,
        args_digest=call.digest,
        args_masked=masked_json({"arguments": dict(call.arguments)}),
        prompt_hash=assessment.prompt_hash,
        # A stored text holds no NUL, and nothing that hides.
        prompt_masked=visible(redact_text(call.intent.prompt)),
        candidate_source=assessment.source,
        evidence_id=_evidence(call, assessment, now),
        output_instability=assessment.signals.output_instability,
        numeric_variance=assessment.signals.numeric_variance,
        prompt_drift=assessment.signals.prompt_drift,
        composite_score=assessment.composite_score,
        weights=asdict(assessment.weights),
        block_at=assessment.block_at,
        baseline_id=assessment.baseline_id,
        blocked=assessment.blocked,
        commit_within_s=assessment.commit_within_s,
        session_id=call.session_id or "",
        trace_id=call.trace.trace_id,
        created_at=now,
    )


def _evidence(call: ToolCall, assessment: Assessment, now: dt.datetime) -> uuid.UUID | None:
    """What was scored, in full, for as long as the arguments are kept."""
    assert call.intent
    if not call.intent.prompt and assessment.outputs is None:
        return None
    outputs = list(assessment.outputs) if assessment.outputs else None
    content = canonical_bytes({"prompt": call.intent.prompt, "candidate_outputs": outputs})
    return store_payload(Payload.Purpose.EVIDENCE, content, now + ARGUMENTS_KEPT_FOR, now).pk


def _action(call: ToolCall, proposal: Proposal, status: Status, now: dt.datetime) -> PendingAction:
    assert call.key and call.tool
    waits = status is Status.PENDING
    lasts = time_to_decide(call) if waits else dt.timedelta(seconds=proposal.commit_within_s)
    # Whole seconds: its token says so, and the earlier of two ends would surprise.
    action = action_of(
        call, proposal.pk, Status.PROPOSED, now.replace(microsecond=0) + lasts, proposal=proposal, waits=waits
    )
    needs = {"quorum": action.quorum, "groups": action.eligible_groups} if waits else {}
    record_event(
        "action.requested",
        call.key.actor,
        Subject("pending_action", str(proposal.pk), call.tool.name),
        trace_id=call.trace.trace_id,
        data={"args_sha256": call.digest, "proposal": True, "composite_score": proposal.composite_score} | needs,
        now=now,
    )
    return PendingAction.objects.select_related("tool", "agent_key", "policy_revision").get(pk=proposal.pk)
