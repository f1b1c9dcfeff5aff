"""A span as POST /telemetry/spans takes it, and as a row: bounded, finite, without characters that databases refuse."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from mcp_observatory.trace_context import Scalar, TraceContext

LONGEST_SESSION = 64
LONGEST = {
    "service": 80,
    "name": 120,
    "provider": 40,
    "model": 120,
    "tool_name": 64,
    "session_id": LONGEST_SESSION + 1,
    "error_type": 80,
}
LONGEST_ATTRIBUTE = 200
MOST_ATTRIBUTES = 32
_COST_STEP = Decimal("0.00000001")
_PLAIN = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "kind",
    "prompt_tokens",
    "completion_tokens",
    "token_source",
    "retries",
    "fallback_used",
    "confidence",
    "confidence_gate_blocked",
    "prompt_diff_score",
    "shadow_agreement",
    "shadow_disagreement_score",
    "deterministic_fallback",
    "high_risk_path",
    "golden_passed",
)


COLUMNS = (*_PLAIN, *LONGEST, "start_time", "end_time", "cost_usd", "attributes")


def record(span: TraceContext) -> dict[str, Any]:
    """Every column of the span, None where there is nothing."""
    found: dict[str, Any] = {name: _finite(getattr(span, name)) for name in _PLAIN}
    found |= {name: _cut(getattr(span, name), longest) for name, longest in LONGEST.items()}
    if len(found["session_id"] or "") > LONGEST_SESSION:
        # Cut, it would be another's.
        found["session_id"] = None
    found["name"] = _cut(span.title, LONGEST["name"])
    found["start_time"] = span.start_time
    found["end_time"] = span.end_time or span.start_time
    found["cost_usd"] = _money(span.cost_usd)
    found["attributes"] = _flat(span.attributes)
    return found


def message(span: TraceContext) -> dict[str, Any]:
    """The record as JSON takes it; what there is nothing of is left out."""
    found = record(span)
    for name in ("start_time", "end_time"):
        found[name] = _timestamp(found[name])
    if found["cost_usd"] is not None:
        found["cost_usd"] = format(found["cost_usd"], "f")
    return {name: value for name, value in found.items() if value is not None and value != {}}


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _money(cost: Decimal | None) -> Decimal | None:
    return None if cost is None else cost.quantize(_COST_STEP)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cut(value: object, longest: int) -> str | None:
    """Text of a bounded length that every database takes: no NUL, no half of a surrogate pair."""
    if value is None:
        return None
    text = str(value)[:longest].replace("\x00", "")
    return text.encode("utf-8", "replace").decode() or None


def _flat(attributes: dict[str, Scalar]) -> dict[str, Scalar]:
    kept: dict[str, Scalar] = {}
    for name, value in list(attributes.items())[:MOST_ATTRIBUTES]:
        bounded = _cut(value, LONGEST_ATTRIBUTE) if isinstance(value, str) else _finite(value)
        if isinstance(bounded, str | int | float | bool) and (key := _cut(name, LONGEST_ATTRIBUTE)):
            kept[key] = bounded
    return kept
