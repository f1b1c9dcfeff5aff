"""Figures equal what a person works out by hand, and what plain Python sums up from the same spans."""

import datetime as dt
import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.metrics.definitions import METRICS, Source
from telemetry.metrics.figures import figures, series
from telemetry.metrics.histogram import RELATIVE_ERROR, bucket_of, quantile
from telemetry.metrics.rollups import roll_up, watermark
from telemetry.models import MinuteRollup
from tests.telemetry.metrics.spans import MINUTE, NOON, exact_quantile, record, span, worked_out

pytestmark = pytest.mark.django_db
AFTER = NOON + 20 * MINUTE


def one(name, begins=NOON, ends=AFTER, **more):
    [figure] = figures(METRICS[name], begins=begins, ends=ends, **more)
    return figure


def asserted_as_worked_out(spans, begins, ends):
    within = [row for row in spans if begins <= row.start_time < ends and row.kind in ("tool_call", "model_call")]
    for name, expected in worked_out(within).items():
        figure = one(name, begins, ends)
        if expected is None or METRICS[name].source is not Source.QUANTILE:
            assert figure.value == pytest.approx(expected), name
        else:
            assert figure.value == pytest.approx(expected, rel=RELATIVE_ERROR + 1e-9, abs=1e-6), name


def test_four_calls_by_hand():
    record(
        span(NOON, 100, cost_usd=Decimal("0.02"), prompt_tokens=10, completion_tokens=5, confidence=0.4),
        span(NOON + MINUTE, 200, cost_usd=Decimal("0.04"), retries=2, shadow_agreement=False),
        span(NOON + MINUTE, 300, decision="denied_policy", shadow_agreement=True, golden_passed=False),
        span(NOON + 3 * MINUTE, 400, decision="error", fallback_used=True, prompt_diff_score=0.31),
    )
    roll_up(AFTER)
    assert one("total_calls").value == 4
    assert one("avg_cost_usd").value == pytest.approx(0.03)
    assert one("avg_cost_usd").samples == 2
    assert one("retry_rate").value == 0.25
    assert one("low_confidence_rate").value == 0.25
    assert one("shadow_disagreement_rate").value == 0.5
    assert one("golden_financial_failure_rate").value == 1.0
    assert one("prompt_diff_violation_rate").value == 0.25
    assert one("denied_calls").value == 1
    assert one("error_rate").value == 0.25
    assert one("duration_p50").value == pytest.approx(0.2, rel=0.01)
    assert one("duration_p99").value == pytest.approx(0.4, rel=0.01)


def test_nothing_to_divide_is_no_figure():
    roll_up(AFTER)
    assert (one("total_calls").value, one("total_calls").samples) == (0, 0)
    assert one("error_rate").value is None
    assert one("duration_p95").value is None
    assert figures(METRICS["error_rate"], begins=NOON, ends=AFTER, group_by=["agent"]) == []
