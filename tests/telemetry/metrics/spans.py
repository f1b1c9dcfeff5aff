"""Spans for tests of figures, and the same figures worked out from the spans themselves by plain Python."""

from __future__ import annotations

import datetime as dt
import math
import random
import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from telemetry.metrics.definitions import METRICS, Source
from telemetry.metrics.figures import figures
from telemetry.metrics.histogram import RELATIVE_ERROR
from telemetry.models import Span
from telemetry.recorder import record_spans

# Of yesterday: minutes are kept for a week.
NOON = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0) - dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)


def span(at: dt.datetime, ms: float = 10.0, **fields: Any) -> Span:
    """A span that began at `at`; what is not given is as the pipeline writes it."""
    trace = uuid.uuid4().hex
    named = {"trace_id": trace, "span_id": trace[:16], "tool_name": "search", "agent": "billing-agent"}
    given: dict[str, Any] = {**named, "decision": "ok", **fields}
    return Span(
        id=uuid.uuid4(),
        start_time=at,
        end_time=at + dt.timedelta(milliseconds=ms),
        **given,
    )


def any_spans(count: int, chance: random.Random, begins: dt.datetime, ends: dt.datetime) -> list[Span]:
    """Spans of every kind and verdict, at any time of [begins, ends)."""
    maybe = (None, True, False)
    return [
        span(
            begins + (ends - begins) * chance.random() * 0.999,
            chance.lognormvariate(3, 2),
            kind=chance.choice(Span.Kind.values),
            origin=chance.choice(Span.Origin.values),
            service=chance.choice(("observatory", "crm")),
            model=chance.choice(("", "small", "large")),
            tool_name=chance.choice(("", "search", "write")),
            agent=chance.choice(("a", "b")),
            decision=chance.choice(("ok", "held", "error", "denied_policy", "denied_rate")),
            cost_usd=chance.choice((None, Decimal(chance.randrange(10**6)) / 10**8)),
            prompt_tokens=chance.choice((None, chance.randrange(5000))),
            completion_tokens=chance.choice((None, chance.randrange(5000))),
            retries=chance.choice((0, 0, 1, 3)),
            fallback_used=chance.random() < 0.3,
            confidence=chance.choice((None, 0.5, chance.random())),
            confidence_gate_blocked=chance.choice(maybe),
            prompt_diff_score=chance.choice((None, 0.30, chance.random())),
            shadow_agreement=chance.choice(maybe),
            deterministic_fallback=chance.random() < 0.3,
            high_risk_path=chance.random() < 0.3,
            golden_passed=chance.choice(maybe),
        )
        for _ in range(count)
    ]


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


def assert_as_worked_out(spans: Iterable[Span], begins: dt.datetime, ends: dt.datetime, **labels: str) -> None:
    """Every figure of the window is what the spans themselves come to; durations within the histogram's error."""
    within = [
        row
        for row in spans
        if begins <= row.start_time < ends
        and row.kind in ("tool_call", "model_call")
        and all(getattr(row, name) == value for name, value in labels.items())
    ]
    for name, expected in worked_out(within).items():
        [figure] = figures(METRICS[name], begins=begins, ends=ends, filters=labels)
        if expected is None or METRICS[name].source is not Source.QUANTILE:
            assert figure.value == (None if expected is None else pytest.approx(expected)), name
        else:
            # PostgreSQL keeps whole microseconds, and nothing takes less than one.
            assert figure.value == pytest.approx(expected, rel=RELATIVE_ERROR + 1e-9, abs=1.1e-6), name
