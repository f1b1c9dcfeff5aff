"""Every figure that can be asked for: what it means, and of which sums over spans it is made.

The first eleven, with their thresholds, are those of the earlier client library; the names are on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LOW_CONFIDENCE = 0.5
PROMPT_DIFF_VIOLATION = 0.30


class Unit(StrEnum):
    NUMBER = "number"
    RATIO = "ratio"
    USD = "USD"
    SECONDS = "seconds"


class Source(StrEnum):
    """Where a figure comes from."""

    SUM = "sum"  # one sum over the window
    RATE = "rate"  # one sum over another; no figure where the other is 0
    QUANTILE = "quantile"  # of the durations
    GAUGE = "gauge"  # how something stands now: telemetry/metrics/gauges.py


@dataclass(frozen=True, slots=True)
class Metric:
    """`of` names the sum (or the gauge), `over` what it is divided by and how many samples there are.

    `decisions` narrows `of` to spans of these decisions ("denied" is every word that begins so). `default_threshold`:
    beyond it the alert that comes with the installation fires.
    """

    name: str
    title: str
    unit: Unit
    source: Source
    of: str = "calls"
    over: str = "calls"
    decisions: tuple[str, ...] = ()
    quantile: float = 0.0
    default_threshold: float | None = None


def _rate(name: str, title: str, of: str, default: float | None = None, over: str = "calls") -> Metric:
    return Metric(name, title, Unit.RATIO, Source.RATE, of, over, default_threshold=default)


SNAPSHOT: tuple[Metric, ...] = (
    Metric("total_calls", "Calls", Unit.NUMBER, Source.SUM),
    Metric(
        "avg_cost_usd",
        "Mean cost of a priced call",
        Unit.USD,
        Source.RATE,
        of="cost_usd",
        over="priced_calls",
        default_threshold=0.05,
    ),
    _rate("fallback_rate", "Calls that fell back", "fallbacks", 0.10),
    _rate("retry_rate", "Calls that were retried", "retried_calls", 0.15),
    _rate("low_confidence_rate", "Calls with a confidence under 0.5", "low_confidence", 0.20),
    _rate("confidence_gate_block_rate", "Calls that a confidence gate stopped", "confidence_gate_blocks"),
    _rate(
        "prompt_diff_violation_rate",
        "Calls whose prompt is over 0.30 from its baseline",
        "prompt_diff_violations",
        0.05,
    ),
    _rate("shadow_disagreement_rate", "Shadow calls that disagreed", "shadow_disagreements", 0.10, "shadow_calls"),
    _rate("deterministic_fallback_rate", "Calls answered by a deterministic fallback", "deterministic_fallbacks", 0.30),
    _rate("high_risk_path_rate", "Calls on a high-risk path", "high_risk_paths"),
    _rate(
        "golden_financial_failure_rate", "Golden financial calls that failed", "golden_failures", 0.01, "golden_calls"
    ),
)
OPERATIONS: tuple[Metric, ...] = (
    Metric("denied_calls", "Denied calls", Unit.NUMBER, Source.SUM, decisions=("denied",)),
    Metric("denied_rate", "Calls that were denied", Unit.RATIO, Source.RATE, decisions=("denied",)),
    Metric("held_rate", "Calls held for a person", Unit.RATIO, Source.RATE, decisions=("held",)),
    Metric("error_calls", "Calls that failed", Unit.NUMBER, Source.SUM, decisions=("error",)),
    Metric("error_rate", "Calls that failed", Unit.RATIO, Source.RATE, decisions=("error",)),
    Metric("cost_usd", "Cost", Unit.USD, Source.SUM, of="cost_usd"),
    Metric("prompt_tokens", "Tokens in", Unit.NUMBER, Source.SUM, of="prompt_tokens"),
    Metric("completion_tokens", "Tokens out", Unit.NUMBER, Source.SUM, of="completion_tokens"),
    Metric("duration_p50", "Median duration", Unit.SECONDS, Source.QUANTILE, quantile=0.50),
    Metric("duration_p95", "95th percentile of durations", Unit.SECONDS, Source.QUANTILE, quantile=0.95),
    Metric("duration_p99", "99th percentile of durations", Unit.SECONDS, Source.QUANTILE, quantile=0.99),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in (*SNAPSHOT, *OPERATIONS)}
