"""Every stable reason code: what it means, its HTTP status, its decision. A code is never reused for another meaning.

Source: shared wire contract, "Errors". The table is frozen by tests/laws/test_frozen_words.py and printed in
docs/reference/reasons.md; a code that is not here can't be answered (`reason()` raises).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One way a call can be stopped or fail. `decision` is the coarse word on spans and problem documents."""

    code: str
    status: int
    decision: str
    title: str
    meaning: str


OK = "ok"
DENIED_SCHEMA = "denied_schema"
DENIED_POLICY = "denied_policy"
ERROR = "error"
HELD = "held"
DRY_RUN = "dry_run"
REPLAYED = "replayed"
DENIED_KEY = "denied_key"
DENIED_RATE = "denied_rate"
DENIED_FROZEN = "denied_frozen"
DENIED_REQUEST = "denied_request"
DENIED_STATE = "denied_state"
PROPOSED = "proposed"

DECISIONS = (
    OK,
    DENIED_SCHEMA,
    DENIED_POLICY,
    ERROR,
    HELD,
    DRY_RUN,
    REPLAYED,
    DENIED_KEY,
    DENIED_RATE,
    DENIED_FROZEN,
    DENIED_REQUEST,
    DENIED_STATE,
    PROPOSED,
)

_TABLE = (
    # 400: the request can't be read
    Reason("malformed_json", 400, DENIED_REQUEST, "Not JSON", "The body is not one JSON document in UTF-8."),
    Reason("duplicate_key", 400, DENIED_REQUEST, "Duplicate key", "An object names the same key twice."),
    Reason(
        "number_not_representable",
        400,
        DENIED_REQUEST,
        "Number not representable",
        "A number is NaN, infinite, beyond +-(2^53-1), or does not round-trip; send money and long ids as strings.",
    ),
    Reason("too_deep", 400, DENIED_REQUEST, "Nested too deeply", "The document nests more than 32 levels."),
    Reason("invalid_unicode", 400, DENIED_REQUEST, "Invalid Unicode", "A string holds a lone surrogate."),
    Reason("otlp_not_readable", 400, DENIED_REQUEST, "Not OTLP", "The body is no ExportTraceServiceRequest."),
    Reason("not_an_object", 400, DENIED_REQUEST, "Not an object", "The body must be a JSON object."),
    Reason("invalid_parameter", 400, DENIED_REQUEST, "Invalid parameter", "A header or query parameter is malformed."),
    Reason(
        "idempotency_key_missing",
        400,
        DENIED_REQUEST,
        "Idempotency key required",
        "This tool runs only with an Idempotency-Key header.",
    ),
    # 401
    Reason(
        "unauthenticated",
        401,
        DENIED_KEY,
        "Not authenticated",
        "Send X-API-Key: <key> or Authorization: Bearer <key>. The key is missing, malformed, unknown, expired or "
        "revoked; the answer is the same for all.",
    ),
    Reason(
        "bad_signature",
        401,
        DENIED_STATE,
        "Not a genuine token",
        "The commit token was not signed here, was changed, or its key was revoked; the answer is the same for all.",
    ),
    # 403
    Reason("denied_policy", 403, DENIED_POLICY, "Denied by policy", "A rule denies this call, or none allows it."),
    Reason("no_network", 403, DENIED_POLICY, "Denied: no network", "The policy forbids tools that use the network."),
    Reason(
        "two_phase_required",
        403,
        DENIED_POLICY,
        "Two phases required",
        "This tool runs only by a proposal and its commit.",
    ),
    Reason(
        "denied_origin",
        403,
        DENIED_REQUEST,
        "Origin refused",
        "No page of this site may call: OBSERVATORY_MCP_ORIGINS does not list it.",
    ),
    Reason(
        "session_allowlist",
        403,
        DENIED_POLICY,
        "Not on the session's allowlist",
        "The session was opened for other tools, or for those of one upstream server.",
    ),
    Reason(
        "session_blocklist",
        403,
        DENIED_POLICY,
        "On the session's blocklist",
        "The session was opened without this tool.",
    ),
    Reason("max_steps", 403, DENIED_POLICY, "Max steps exceeded", "The session has as many steps as it may have."),
    Reason(
        "guardrail_input",
        403,
        DENIED_POLICY,
        "Refused by a guardrail",
        "A detector found something in what was sent, above its threshold, that the mode in force denies; nothing ran.",
    ),
    Reason(
        "output_withheld",
        403,
        DENIED_POLICY,
        "Output withheld",
        "The tool was called; a guardrail refuses what it answered. `executed` says that it ran; it is settled as run.",
    ),
    Reason("scope_missing", 403, DENIED_POLICY, "Scope missing", "The key lacks the scope that this act needs."),
    Reason(
        "own_request",
        403,
        DENIED_POLICY,
        "Your own request",
        "Nobody decides what a key of their own asked for, unless the policy says so.",
    ),
    Reason(
        "voter_not_eligible",
        403,
        DENIED_POLICY,
        "Not eligible to decide",
        "The key's owner is not in a group that may decide this action.",
    ),
    Reason(
        "subject_not_mapped",
        403,
        DENIED_KEY,
        "Nobody's token",
        "The access token is genuine, but no agent is mapped to its subject; an operator maps it in admin.",
    ),
    # 404, 405, 406, 415
    Reason(
        "unknown_tool",
        404,
        DENIED_POLICY,
        "Unknown tool",
        "There is no such tool, or no rule could allow it to this key; the answer is the same.",
    ),
    Reason("unknown_action", 404, DENIED_STATE, "Unknown action", "No such pending action that this key may see."),
    Reason(
        "unknown_proposal",
        404,
        DENIED_STATE,
        "Unknown proposal",
        "No such proposal that this key may see or commit; a blocked one can't be committed either.",
    ),
    Reason("unknown_session", 404, DENIED_STATE, "Unknown session", "No such session that this key may use."),
    Reason("not_found", 404, DENIED_REQUEST, "Not found", "Nothing is at this address."),
    Reason(
        "method_not_allowed",
        405,
        DENIED_REQUEST,
        "Method not allowed",
        "This address answers the methods of the Allow header.",
    ),
    Reason(
        "not_acceptable", 406, DENIED_REQUEST, "Not acceptable", "The Accept header admits no form we can answer in."
    ),
    Reason("unsupported_media_type", 415, DENIED_REQUEST, "Unsupported media type", "Send application/json."),
    # 409
    Reason(
        "idempotency_in_flight",
        409,
        DENIED_STATE,
        "Still running",
        "A call with this idempotency key is running; try again after Retry-After seconds.",
    ),
    Reason(
        "outcome_unknown",
        409,
        DENIED_STATE,
        "Outcome unknown",
        "The first call with this idempotency key was cut off; whether it ran is not known, so it does not run again.",
    ),
    Reason("session_closed", 409, DENIED_STATE, "Session over", "The session takes no more steps."),
    Reason("session_exists", 409, DENIED_STATE, "Session exists", "This agent has a session of this name."),
    Reason(
        "session_reported",
        409,
        DENIED_STATE,
        "Session runs elsewhere",
        "The session's steps are reported, not run here; or the other way round.",
    ),
    Reason("already_decided", 409, DENIED_STATE, "Already decided", "The action was decided, cancelled or ran."),
    Reason("action_rejected", 409, DENIED_STATE, "Action rejected", "A person said no; nothing ran."),
    Reason("action_cancelled", 409, DENIED_STATE, "Action cancelled", "The agent took the request back; nothing ran."),
    Reason("already_voted", 409, DENIED_STATE, "Already voted", "This operator has voted on this action."),
    Reason("action_expired", 409, DENIED_STATE, "Action expired", "The action's time to decide is over."),
    Reason("key_revoked", 409, DENIED_STATE, "Key revoked", "The key that asked was revoked since; nothing ran."),
    Reason("policy_changed", 409, DENIED_STATE, "Policy changed", "The policy changed since the call; nothing ran."),
    Reason("tool_changed", 409, DENIED_STATE, "Tool changed", "The tool changed since the call; nothing ran."),
    Reason(
        "nonce_replay",
        409,
        DENIED_STATE,
        "Committed already",
        "This proposal was committed once; it does not run again.",
    ),
    Reason("not_approved", 409, DENIED_STATE, "Not approved", "Nobody has agreed to this proposal, so nothing ran."),
    Reason(
        "resolved_done",
        409,
        DENIED_STATE,
        "Found to be done",
        "The call was cut off; an operator found that it was done. Its answer is not known.",
    ),
    Reason(
        "resolved_failed",
        409,
        DENIED_STATE,
        "Found not to be done",
        "The call was cut off; an operator found that it was not done. Ask again under a new idempotency key.",
    ),
    Reason(
        "stale_digest", 409, DENIED_STATE, "Stale page", "The decision was about other arguments than it now shows."
    ),
    Reason(
        "call_cancelled",
        409,
        ERROR,
        "Cancelled by the caller",
        "The caller took the call back while it ran; unless the tool only reads, whether it ran is not known.",
    ),
    # 410, 413, 422, 423, 429
    Reason("expired", 410, DENIED_STATE, "Expired", "The commit token's time is over; propose again."),
    Reason(
        "too_large",
        413,
        DENIED_REQUEST,
        "Too large",
        "The body is larger than this address takes: 256 KiB, 4 MiB of spans.",
    ),
    Reason(
        "spans_refused",
        422,
        DENIED_REQUEST,
        "No span could be kept",
        "Each span of the batch was refused; `rejected` says why, by its place in the batch.",
    ),
    Reason("denied_schema", 422, DENIED_SCHEMA, "Arguments refused", "The arguments do not fit the tool's schema."),
    Reason(
        "idempotency_key_reused",
        422,
        DENIED_REQUEST,
        "Idempotency key reused",
        "This idempotency key was used with other arguments.",
    ),
    Reason(
        "args_hash_mismatch",
        422,
        DENIED_STATE,
        "Other arguments",
        "These are not the arguments that were proposed, so nothing ran.",
    ),
    Reason(
        "candidates_refused",
        422,
        DENIED_REQUEST,
        "Candidate outputs refused",
        "The tool's proposals are not scored by outputs that the caller sends; send none.",
    ),
    Reason("tool_error", 422, ERROR, "The tool refused", "The tool ran and refused this input; it changed nothing."),
    Reason(
        "tool_reported_error",
        422,
        ERROR,
        "The upstream's tool reported an error",
        "An upstream's tool ran and answered an error of its own; what it had changed by then, it alone can say.",
    ),
    Reason("frozen", 423, DENIED_FROZEN, "Frozen", "An operator froze this agent, this tool, or everything."),
    Reason(
        "tool_quarantined",
        423,
        DENIED_FROZEN,
        "Quarantined",
        "The upstream changed what this tool says of itself, or took it away; an operator must accept it again.",
    ),
    Reason("rate_limited", 429, DENIED_RATE, "Too many calls", "A rate is used up; see Retry-After."),
    Reason(
        "span_quota_used_up",
        429,
        DENIED_RATE,
        "Too many spans",
        "The key has reported as many spans as it may in a minute; none of this batch is kept; see Retry-After.",
    ),
    # 5xx: a part failed
    Reason("internal_error", 500, ERROR, "Internal error", "A fault of the installation; its log has the cause."),
    Reason("tool_failed", 502, ERROR, "The tool failed", "The tool broke while it ran; it may have run in part."),
    Reason(
        "tool_unreachable",
        502,
        ERROR,
        "The tool can't be reached",
        "Not reached, or it turned us away; nothing ran.",
    ),
    Reason(
        "tool_output_invalid", 502, ERROR, "Invalid tool output", "The tool ran; its output does not fit its schema."
    ),
    Reason(
        "outcome_unrecorded",
        502,
        ERROR,
        "Outcome not recorded",
        "The tool was called, but what came of it could not be recorded; look before you try again.",
    ),
    Reason("egress_refused", 502, ERROR, "Address refused", "The tool's address is not one we may call; nothing ran."),
    Reason(
        "model_unavailable",
        503,
        ERROR,
        "Model endpoint down",
        "The model endpoint gave no outputs to score by, so nothing was proposed.",
    ),
    Reason(
        "credential_missing",
        502,
        ERROR,
        "No credential for this agent",
        "The upstream wants a credential of each agent's own, and this agent has none there; nothing ran.",
    ),
    Reason(
        "streams_used_up",
        503,
        ERROR,
        "Too many open streams",
        "This process holds as many open streams as it may; try again, or without one.",
    ),
    Reason("part_unavailable", 503, ERROR, "A part is down", "A part that the call needs is down; nothing ran."),
    Reason("rate_store_unavailable", 503, ERROR, "Rate store down", "Rates can't be counted now; nothing ran."),
    Reason("database_unavailable", 503, ERROR, "Database down", "Nothing can be recorded now, so nothing ran."),
    Reason(
        "tool_timeout",
        504,
        ERROR,
        "The tool timed out",
        "The tool did not answer in time; whether it ran is not known.",
    ),
    # outcomes that are not refusals
    Reason("allowed", 200, OK, "Done", "The call ran."),
    Reason("dry_run", 200, DRY_RUN, "Dry run", "The call would have run; nothing happened."),
    Reason("approval_required", 200, HELD, "Waits for a person", "The call waits for a person's decision."),
    Reason("proposed", 200, PROPOSED, "Proposed", "The proposal may be committed with its token."),
    Reason(
        "low_integrity",
        200,
        DENIED_POLICY,
        "Low integrity",
        "The proposal's score blocks it: a draft is answered, and nothing can be committed.",
    ),
    Reason("idempotent_replay", 200, REPLAYED, "Replayed", "The stored answer of the first call."),
)

REASONS = {r.code: r for r in _TABLE}


def reason(code: str) -> Reason:
    """The registered reason. Raises KeyError for a word that is not registered."""
    return REASONS[code]
