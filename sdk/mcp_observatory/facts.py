"""What a caller may tell of a call beyond its prompt and answer, and how that becomes a span's fields."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict

from mcp_observatory.prices import as_cost
from mcp_observatory.trace_context import Scalar, TraceContext


class Facts(TypedDict, total=False):
    """Scores are 0 to 1; a gate blocks a call whose confidence is below its threshold."""

    provider: str | None
    tool_name: str | None
    name: str | None
    session_id: str | None
    confidence: float | None
    confidence_gate_threshold: float | None
    high_risk_path: bool
    deterministic_fallback_triggered: bool
    fallback_used: bool
    retries: int
    prompt_diff_score: float | None
    shadow_agreement: bool | None
    shadow_disagreement_score: float | None
    is_golden_financial_scenario: bool
    golden_scenario_passed: bool | None
    prompt_tokens: int | None
    completion_tokens: int | None
    usage: Any
    cost_usd: Decimal | float | None
    parent: TraceContext | str | None
    attributes: Mapping[str, Scalar]
    start_time: datetime
    end_time: datetime


MOST_RETRIES = 10_000
KNOWN = frozenset(Facts.__annotations__)


def check_names(facts: Mapping[str, Any]) -> None:
    """Raises TypeError for a fact that does not exist, as for any misspelt argument."""
    unknown = facts.keys() - KNOWN
    if unknown:
        raise TypeError(f"not a fact of a call: {', '.join(sorted(unknown))}; there are {', '.join(sorted(KNOWN))}")


def tell(span: TraceContext, facts: Facts) -> None:
    """The span says what is told. A value that can't be one is left out: telemetry never stops a call."""
    span.provider = facts.get("provider", span.provider)
    span.tool_name = facts.get("tool_name", span.tool_name)
    span.name = facts.get("name", span.name)
    span.session_id = facts.get("session_id", span.session_id)
    span.retries = _retries(facts.get("retries", span.retries))
    span.fallback_used = bool(facts.get("fallback_used", span.fallback_used))
    span.deterministic_fallback = bool(facts.get("deterministic_fallback_triggered", span.deterministic_fallback))
    span.high_risk_path = bool(facts.get("high_risk_path", span.high_risk_path))
    span.cost_usd = as_cost(facts.get("cost_usd", span.cost_usd))
    span.attributes.update(facts.get("attributes") or {})
    span.start_time = _with_zone(facts.get("start_time")) or span.start_time
    span.end_time = _with_zone(facts.get("end_time")) or span.end_time
    _tell_scores(span, facts)
    if facts.get("is_golden_financial_scenario"):
        # A golden scenario of which nobody says that it passed, did not.
        span.golden_passed = bool(facts.get("golden_scenario_passed"))


def _tell_scores(span: TraceContext, facts: Facts) -> None:
    if "confidence" in facts:
        span.confidence = _score(facts["confidence"])
    threshold = _score(facts.get("confidence_gate_threshold"))
    if threshold is not None and span.confidence is not None:
        span.confidence_gate_blocked = span.confidence < threshold
    if "prompt_diff_score" in facts:
        span.prompt_diff_score = _score(facts["prompt_diff_score"])
    if "shadow_agreement" in facts:
        agreement = facts["shadow_agreement"]
        span.shadow_agreement = None if agreement is None else bool(agreement)
    if "shadow_disagreement_score" in facts:
        span.shadow_disagreement_score = _score(facts["shadow_disagreement_score"])


def _retries(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), MOST_RETRIES)


def _score(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return float(value) if 0 <= value <= 1 else None


def _with_zone(moment: object) -> datetime | None:
    """A time without a zone is one of this machine's."""
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo is not None else moment.astimezone()
