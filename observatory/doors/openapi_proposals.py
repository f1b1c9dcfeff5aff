"""The OpenAPI descriptions of proposals and commits, with their examples."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

from observatory.doors.openapi import EVERY_KEYED, OBJECT, example, problems
from tools.reasons import REASONS

_PROPOSAL = {"proposal_id": "5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51", "tool_name": "transfer_funds"}
_SCORED = {
    "tool_args": {"amount": 100, "to": "acct_123"},
    "composite_score": 0.12,
    "signals": {"output_instability": 0.2, "numeric_variance": 0.0, "prompt_drift": None},
}
_EXAMPLE_TOKEN = "mo1.4f0c9a21.eyJhZ2VudF9rZXkiOi4uLn0.q83vEjRWeJCrze8"  # noqa: S105 (an example, signed by nobody)

propose = extend_schema(
    operation_id="propose_call",
    summary="Propose a call: scored and recorded; nothing runs",
    parameters=[
        OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Your name for this proposal."),
        OpenApiParameter("traceparent", str, OpenApiParameter.HEADER, description="W3C Trace Context."),
    ],
    request=inline_serializer(
        "ProposalRequest",
        {
            "tool": serializers.CharField(),
            "args": serializers.DictField(required=False),
            "prompt": serializers.CharField(required=False, allow_blank=True),
            "candidate_outputs": serializers.ListField(
                child=serializers.CharField(allow_blank=True), min_length=2, max_length=2, required=False
            ),
            "session_id": serializers.CharField(required=False),
        },
    ),
    responses={
        200: OpenApiResponse(OBJECT, description="allowed with its token, blocked with a draft, or pending_approval."),
        **problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 423, 429, 503),
    },
    examples=[
        example(
            "a transfer",
            {"tool": "transfer_funds", "args": {"amount": 100, "to": "acct_123"}, "prompt": "Pay acct_123 its 100."},
            request_only=True,
        ),
        example(
            "allowed",
            {
                "status": "allowed",
                **_PROPOSAL,
                **_SCORED,
                "commit_token": _EXAMPLE_TOKEN,
                "token_id": "0a3f7a34-52a7-4a6e-8f0a-0d1c1f1b7a11",
                "expires_at": "2026-11-21T12:15:00+00:00",
            },
            response_only=True,
            status_codes=["200"],
        ),
        example(
            "blocked",
            {
                "status": "blocked",
                "action": "create_draft",
                "reason": "low_integrity",
                "draft": {"tool": "transfer_funds", "amount": 100, "to": "acct_123"},
                **_PROPOSAL,
            },
            response_only=True,
            status_codes=["200"],
        ),
        example(
            "waits for a person",
            {
                "status": "pending_approval",
                **_PROPOSAL,
                **_SCORED,
                "pending_action_id": _PROPOSAL["proposal_id"],
            },
            response_only=True,
            status_codes=["200"],
        ),
    ],
)

proposal = extend_schema(
    operation_id="get_proposal",
    summary="Where a proposal stands; its token while it may be committed",
    parameters=[OpenApiParameter("proposal_id", str, OpenApiParameter.PATH)],
    responses={200: OpenApiResponse(OBJECT), **problems(404, *EVERY_KEYED)},
)

_NOT_COMMITTED = inline_serializer(
    "CommitRefused",
    {
        "status": serializers.CharField(help_text="blocked"),
        "commit_id": serializers.CharField(),
        "reason": serializers.ChoiceField(choices=sorted(REASONS)),
        "detail": serializers.CharField(),
    },
)


def _refused_commits(*statuses: int) -> dict[Any, Any]:
    """A refused commit is plain JSON; a refusal of the request itself is a problem document."""
    return {
        (status, "application/json"): OpenApiResponse(
            _NOT_COMMITTED, description="; ".join(sorted(r.code for r in REASONS.values() if r.status == status))
        )
        for status in statuses
    }


commit = extend_schema(
    operation_id="commit_proposal",
    summary="Commit a proposal: it runs, once",
    parameters=[
        OpenApiParameter("proposal_id", str, OpenApiParameter.PATH),
        OpenApiParameter(
            "Idempotency-Key", str, OpenApiParameter.HEADER, description="Makes a repeat the same answer."
        ),
        OpenApiParameter("traceparent", str, OpenApiParameter.HEADER, description="W3C Trace Context."),
    ],
    request=inline_serializer(
        "CommitRequest", {"commit_token": serializers.CharField(), "args": serializers.DictField(required=False)}
    ),
    responses={
        200: OpenApiResponse(OBJECT, description="committed, with the tool's own output as result."),
        **_refused_commits(400, 401, 403, 404, 409, 410, 422, 423),
        **problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 423, 429, 502, 503, 504),
    },
    examples=[
        example(
            "commit",
            {"commit_token": _EXAMPLE_TOKEN, "args": {"amount": 100, "to": "acct_123"}},
            request_only=True,
        ),
        example(
            "committed",
            {"status": "committed", "commit_id": "c0d5c7de-56d7-4bd6-9a38-3a0e3a1c11aa", "result": {"sent": True}},
            response_only=True,
            status_codes=["200"],
        ),
        example(
            "refused",
            {"status": "blocked", "commit_id": "c0d5c7de-56d7-4bd6-9a38-3a0e3a1c11aa", "reason": "nonce_replay"},
            response_only=True,
            status_codes=["409"],
        ),
    ],
)
