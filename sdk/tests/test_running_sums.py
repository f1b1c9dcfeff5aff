"""Each figure against the same figure worked out over the whole list."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_observatory import TraceContext, instrument
from mcp_observatory.running_sums import METRICS, RunningSums

KEYS = [
    "total_calls",
    "avg_cost_usd",
    "fallback_rate",
    "retry_rate",
    "low_confidence_rate",
    "confidence_gate_block_rate",
    "prompt_diff_violation_rate",
    "shadow_disagreement_rate",
    "deterministic_fallback_rate",
    "high_risk_path_rate",
    "golden_financial_failure_rate",
]
maybe = st.none() | st.booleans()
score = st.none() | st.sampled_from([0.0, 0.29, 0.3, 0.31, 0.49, 0.5, 1.0])
calls = st.builds(
    TraceContext,
    st.just("s"),
    st.sampled_from(["model_call", "tool_call", "other"]),
    cost_usd=st.none() | st.integers(0, 10**10).map(lambda n: Decimal(n).scaleb(-8)),
    fallback_used=st.booleans(),
    retries=st.integers(0, 3),
    confidence=score,
    confidence_gate_blocked=maybe,
    prompt_diff_score=score,
    shadow_agreement=maybe,
    deterministic_fallback=st.booleans(),
    high_risk_path=st.booleans(),
    golden_passed=maybe,
)


@given(st.lists(calls, max_size=40))
def test_figures_are_those_of_the_whole_list(spans: list[TraceContext]) -> None:
    sums = RunningSums()
    for span in spans:
        sums.add(span)
    counted = [span for span in spans if span.kind != "other"]

    def share(holds: Callable[[TraceContext], bool], among: Callable[[TraceContext], bool] = lambda _: True) -> float:
        of = [holds(span) for span in counted if among(span)]
        return float(Fraction(sum(of), len(of))) if of else 0.0

    costs = [span.cost_usd for span in counted if span.cost_usd is not None]
    assert sums.snapshot() == {
        "total_calls": len(counted),
        "avg_cost_usd": float(sum(costs, Decimal(0)) / len(costs)) if costs else 0.0,
        "fallback_rate": share(lambda span: span.fallback_used),
        "retry_rate": share(lambda span: span.retries > 0),
        "low_confidence_rate": share(lambda span: span.confidence in (0.0, 0.29, 0.3, 0.31, 0.49)),
        "confidence_gate_block_rate": share(lambda span: span.confidence_gate_blocked is True),
        "prompt_diff_violation_rate": share(lambda span: span.prompt_diff_score in (0.31, 0.49, 0.5, 1.0)),
        "shadow_disagreement_rate": share(
            lambda span: span.shadow_agreement is False, lambda span: span.shadow_agreement is not None
        ),
        "deterministic_fallback_rate": share(lambda span: span.deterministic_fallback),
        "high_risk_path_rate": share(lambda span: span.high_risk_path),
        "golden_financial_failure_rate": share(
            lambda span: span.golden_passed is False, lambda span: span.golden_passed is not None
        ),
    }


def test_snapshot_has_the_eleven_figures_and_no_alert_when_nothing_happened() -> None:
    interceptor = instrument("s")
    assert list(interceptor.get_metrics_snapshot()) == KEYS == list(METRICS)
    assert set(interceptor.get_metrics_snapshot().values()) == {0.0}
    assert interceptor.get_active_alerts() == []


def test_alerts_fire_above_their_thresholds_only() -> None:
    interceptor = instrument("s")
    for number in range(10):
        interceptor.record_model_call("m", None, response="r", fallback_used=number == 0, retries=int(number < 2))
    assert interceptor.get_metrics_snapshot()["fallback_rate"] == 0.1  # at the threshold
    assert interceptor.get_active_alerts() == ["retry_rate_above_threshold"]


def test_every_default_threshold_can_fire() -> None:
    interceptor = instrument("s")
    interceptor.record_model_call(
        "m",
        None,
        response="r",
        cost_usd=0.051,
        fallback_used=True,
        retries=1,
        confidence=0.49,
        confidence_gate_threshold=0.5,
        prompt_diff_score=0.31,
        shadow_agreement=False,
        deterministic_fallback_triggered=True,
        high_risk_path=True,
        is_golden_financial_scenario=True,
    )
    without = {"total_calls", "confidence_gate_block_rate", "high_risk_path_rate"}
    assert interceptor.get_active_alerts() == [f"{key}_above_threshold" for key in KEYS if key not in without]


def test_thresholds_can_be_set_and_taken_away() -> None:
    interceptor = instrument("s", alert_thresholds={"high_risk_path_rate": 0.5, "low_confidence_rate": None})
    interceptor.record_model_call("m", None, response="r", high_risk_path=True, confidence=0.1)
    assert interceptor.get_active_alerts() == ["high_risk_path_rate_above_threshold"]
    with pytest.raises(ValueError, match="fallback_rat;"):
        instrument("s", alert_thresholds={"fallback_rat": 0.5})


def test_figures_of_the_first_quick_start_are_those_worked_out_by_hand() -> None:
    interceptor = instrument(service_name="example-mcp")
    asyncio.run(
        interceptor.intercept_model_call(
            model="gpt-4o",
            prompt="Hello MCP",
            response="Hello human",
            confidence=0.64,
            confidence_gate_threshold=0.70,
            high_risk_path=True,
            deterministic_fallback_triggered=True,
            prompt_diff_score=0.42,
            shadow_agreement=False,
            is_golden_financial_scenario=True,
            golden_scenario_passed=True,
        )
    )
    # 9 and 11 bytes are 3 tokens each: 3 x 2.50 USD + 3 x 10 USD for a million
    figures = [1, 0.0000375, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    assert interceptor.get_metrics_snapshot() == dict(zip(KEYS, figures, strict=True))
    assert interceptor.get_active_alerts() == [
        "prompt_diff_violation_rate_above_threshold",
        "shadow_disagreement_rate_above_threshold",
        "deterministic_fallback_rate_above_threshold",
    ]
