"""Sums over all calls of this process, the figures they make, and which of those are out of bounds."""

import threading
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from mcp_observatory.forking import survives_fork
from mcp_observatory.trace_context import TraceContext

LOW_CONFIDENCE = 0.5
PROMPT_DIFF_VIOLATION = 0.30

# What each rate counts, and the calls it is a share of.
RATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "fallback_rate": ("fallbacks", "calls"),
        "retry_rate": ("retried_calls", "calls"),
        "low_confidence_rate": ("low_confidence", "calls"),
        "confidence_gate_block_rate": ("confidence_gate_blocks", "calls"),
        "prompt_diff_violation_rate": ("prompt_diff_violations", "calls"),
        "shadow_disagreement_rate": ("shadow_disagreements", "shadow_calls"),
        "deterministic_fallback_rate": ("deterministic_fallbacks", "calls"),
        "high_risk_path_rate": ("high_risk_paths", "calls"),
        "golden_financial_failure_rate": ("golden_failures", "golden_calls"),
    }
)
METRICS = ("total_calls", "avg_cost_usd", *RATES)
DEFAULT_THRESHOLDS: Mapping[str, float] = MappingProxyType(
    {
        "avg_cost_usd": 0.05,
        "fallback_rate": 0.10,
        "retry_rate": 0.15,
        "low_confidence_rate": 0.20,
        "prompt_diff_violation_rate": 0.05,
        "shadow_disagreement_rate": 0.10,
        "deterministic_fallback_rate": 0.30,
        "golden_financial_failure_rate": 0.01,
    }
)


class RunningSums:
    """Safe between threads, and of one size however many calls there are. A forked child begins at nothing."""

    def __init__(self) -> None:
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.RLock()  # a finalizer of the same thread may record too
        self._sums = {name: 0 for pair in RATES.values() for name in pair}
        self._priced_calls = 0
        self._cost_usd = Decimal(0)

    def add(self, span: TraceContext) -> None:
        """The call is counted. Other work than calls of models and tools is not."""
        if span.kind == "other":
            return
        counted = _counted(span)
        with self._lock:
            for name in counted:
                self._sums[name] += 1
            if span.cost_usd is not None:
                self._priced_calls += 1
                self._cost_usd += span.cost_usd

    def snapshot(self) -> dict[str, float]:
        """All eleven figures; 0.0 where there is nothing to divide by."""
        with self._lock:
            sums, priced, cost = dict(self._sums), self._priced_calls, self._cost_usd
        figures: dict[str, float] = {"total_calls": sums["calls"]}
        figures["avg_cost_usd"] = float(cost / priced) if priced else 0.0
        for metric, (of, over) in RATES.items():
            figures[metric] = sums[of] / sums[over] if sums[over] else 0.0
        return figures


def thresholds(given: Mapping[str, float | None] | None) -> dict[str, float]:
    """The defaults with what was given in their place; None takes one away. Raises ValueError for an unknown metric."""
    unknown = set(given or ()) - set(METRICS)
    if unknown:
        raise ValueError(f"not a metric: {', '.join(sorted(unknown))}; there are {', '.join(METRICS)}")
    merged: dict[str, float | None] = {**DEFAULT_THRESHOLDS, **(given or {})}
    return {metric: bound for metric in METRICS if (bound := merged.get(metric)) is not None}


def alerts(snapshot: Mapping[str, float], bounds: Mapping[str, float]) -> list[str]:
    """`<metric>_above_threshold` for each figure that is above its bound; at the bound is not above."""
    return [f"{metric}_above_threshold" for metric, bound in bounds.items() if snapshot[metric] > bound]


def _counted(span: TraceContext) -> list[str]:
    """The sums that this call adds one to."""
    facts = {
        "calls": True,
        "fallbacks": span.fallback_used,
        "retried_calls": span.retries > 0,
        "low_confidence": span.confidence is not None and span.confidence < LOW_CONFIDENCE,
        "confidence_gate_blocks": span.confidence_gate_blocked is True,
        "prompt_diff_violations": span.prompt_diff_score is not None and span.prompt_diff_score > PROMPT_DIFF_VIOLATION,
        "shadow_calls": span.shadow_agreement is not None,
        "shadow_disagreements": span.shadow_agreement is False,
        "deterministic_fallbacks": span.deterministic_fallback,
        "high_risk_paths": span.high_risk_path,
        "golden_calls": span.golden_passed is not None,
        "golden_failures": span.golden_passed is False,
    }
    return [name for name, holds in facts.items() if holds]
