"""Words that agents, programs and records rely on. A change is made here too, on purpose; none is ever reused."""

from telemetry.event_types import EVENT_TYPES
from tools.reasons import DECISIONS, REASONS
from tools.scopes import Scope

STATUS_OF = {
    "malformed_json": 400,
    "duplicate_key": 400,
    "number_not_representable": 400,
    "too_deep": 400,
    "invalid_unicode": 400,
    "not_an_object": 400,
    "invalid_parameter": 400,
    "idempotency_key_missing": 400,
    "unauthenticated": 401,
    "denied_policy": 403,
    "no_network": 403,
    "two_phase_required": 403,
    "scope_missing": 403,
    "own_request": 403,
    "voter_not_eligible": 403,
    "unknown_tool": 404,
    "unknown_action": 404,
    "unknown_session": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "unsupported_media_type": 415,
    "idempotency_in_flight": 409,
    "outcome_unknown": 409,
    "already_decided": 409,
    "action_rejected": 409,
    "action_cancelled": 409,
    "already_voted": 409,
    "action_expired": 409,
    "key_revoked": 409,
    "policy_changed": 409,
    "tool_changed": 409,
    "stale_digest": 409,
    "too_large": 413,
    "denied_schema": 422,
    "idempotency_key_reused": 422,
    "tool_error": 422,
    "frozen": 423,
    "rate_limited": 429,
    "internal_error": 500,
    "tool_failed": 502,
    "tool_unreachable": 502,
    "tool_output_invalid": 502,
    "outcome_unrecorded": 502,
    "egress_refused": 502,
    "part_unavailable": 503,
    "rate_store_unavailable": 503,
    "database_unavailable": 503,
    "tool_timeout": 504,
    "allowed": 200,
    "dry_run": 200,
    "approval_required": 200,
    "idempotent_replay": 200,
}
DECISION_WORDS = (
    "ok",
    "denied_schema",
    "denied_policy",
    "error",
    "held",
    "dry_run",
    "replayed",
    "denied_key",
    "denied_rate",
    "denied_frozen",
    "denied_request",
    "denied_state",
)
EVENTS = (
    "call.answered",
    "call.intended",
    "call.settled",
    "call.denied",
    "call.held",
    "call.replayed",
    "call.simulated",
    "agent.created",
    "agent.changed",
    "key.created",
    "key.changed",
    "key.rotated",
    "key.refused",
    "key.revoked",
    "tool.registered",
    "tool.changed",
    "tool.version",
    "tool.withdrawn",
    "policy.created",
    "policy.drafted",
    "policy.published",
    "policy.rolled_back",
    "policy.publish_refused",
    "switch.engaged",
    "switch.released",
    "action.requested",
    "action.voted",
    "action.approved",
    "action.rejected",
    "action.cancelled",
    "action.expired",
    "action.revoked",
    "action.executing",
    "action.done",
    "action.failed",
    "action.unknown",
    "person.changed",
    "group.changed",
    "payload.read",
    "access.explained",
)
SCOPES = (
    "tools:call",
    "actions:confirm",
    "sessions:write",
    "reports:read",
    "telemetry:write",
    "telemetry:read",
    "audit:read",
    "decisions:read",
    "health:read",
)


def test_reason_codes_keep_their_status() -> None:
    assert {code: reason.status for code, reason in REASONS.items()} == STATUS_OF


def test_decisions_stay() -> None:
    assert DECISIONS == DECISION_WORDS
    assert {reason.decision for reason in REASONS.values()} == set(DECISION_WORDS)


def test_event_types_stay() -> None:
    assert tuple(EVENT_TYPES) == EVENTS


def test_scopes_stay() -> None:
    assert tuple(Scope.values) == SCOPES
