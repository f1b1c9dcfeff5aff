"""Spans for tests of figures, and the same figures worked out from the spans themselves by plain Python."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Iterable
from typing import Any

from telemetry.models import Span
from telemetry.recorder import record_spans

NOON = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def span(at: dt.datetime, ms: float = 10.0, **fields: Any) -> Span:
    """A span that began at `at`; what is not given is as the pipeline writes it."""
    trace = uuid.uuid4()
    given: dict[str, Any] = {"tool_name": "search", "agent": "billing-agent", "decision": "ok"} | fields
    return Span(
        id=uuid.uuid4(),
        trace_id=trace.hex,
        span_id=trace.hex[:16],
        start_time=at,
        end_time=at + dt.timedelta(milliseconds=ms),
        **given,
    )


def record(*spans: Span) -> None:
    record_spans(spans)


def exact_quantile(durations: Iterable[float], share: float) -> float | None:
    ordered = sorted(durations)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else None


def ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def worked_out(spans: Iterable[Span]) -> dict[str, float | None]:
    """Each metric by its words in docs/explanation/figures.md, without a rollup or a statement of SQL."""
    rows = list(spans)
    calls = len(rows)
    priced = [row.cost_usd for row in rows if row.cost_usd is not None]
    shadow = [row.shadow_agreement for row in rows if row.shadow_agreement is not None]
    golden = [row.golden_passed for row in rows if row.golden_passed is not None]
    denied = sum(row.decision.startswith("denied") for row in rows)
    errors = sum(row.decision == "error" for row in rows)
    return {
        "total_calls": calls,
        "avg_cost_usd": ratio(float(sum(priced)), len(priced)),
        "fallback_rate": ratio(sum(row.fallback_used for row in rows), calls),
        "retry_rate": ratio(sum(row.retries > 0 for row in rows), calls),
        "low_confidence_rate": ratio(sum((row.confidence is not None and row.confidence < 0.5) for row in rows), calls),
        "confidence_gate_block_rate": ratio(sum(bool(row.confidence_gate_blocked) for row in rows), calls),
        "prompt_diff_violation_rate": ratio(sum((row.prompt_diff_score or 0) > 0.30 for row in rows), calls),
        "shadow_disagreement_rate": ratio(shadow.count(False), len(shadow)),
        "deterministic_fallback_rate": ratio(sum(row.deterministic_fallback for row in rows), calls),
        "high_risk_path_rate": ratio(sum(row.high_risk_path for row in rows), calls),
        "golden_financial_failure_rate": ratio(golden.count(False), len(golden)),
        "denied_calls": denied,
        "denied_rate": ratio(denied, calls),
        "held_rate": ratio(sum(row.decision == "held" for row in rows), calls),
        "error_calls": errors,
        "error_rate": ratio(errors, calls),
        "cost_usd": float(sum(priced)),
        "prompt_tokens": sum(row.prompt_tokens or 0 for row in rows),
        "completion_tokens": sum(row.completion_tokens or 0 for row in rows),
    } | {
        f"duration_p{share}": exact_quantile(
            ((row.end_time - row.start_time).total_seconds() for row in rows), share / 100
        )
        for share in (50, 95, 99)
    }
