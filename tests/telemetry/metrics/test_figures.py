"""Figures equal what a person works out by hand, and what plain Python sums up from the same spans."""

import datetime as dt
import random
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.metrics.definitions import METRICS, Unit
from telemetry.metrics.figures import figures, series
from telemetry.metrics.gauges import Reading, register_gauge
from telemetry.metrics.rollups import HOUR, roll_up
from telemetry.models import HourRollup, MinuteRollup, RollupWatermark
from tests.telemetry.metrics.spans import MINUTE, NOON, any_spans, assert_as_worked_out, record, span

pytestmark = pytest.mark.django_db
AFTER = NOON + 20 * MINUTE


def one(name, begins=NOON, ends=AFTER, **more):
    [figure] = figures(METRICS[name], begins=begins, ends=ends, **more)
    return figure


def test_four_calls_by_hand():
    record(
        span(NOON, 100, cost_usd=Decimal("0.02"), prompt_tokens=10, completion_tokens=5, confidence=0.4),
        span(NOON + MINUTE, 200, cost_usd=Decimal("0.04"), retries=2, shadow_agreement=False),
        span(NOON + MINUTE, 300, decision="denied_policy", shadow_agreement=True, golden_passed=False),
        span(NOON + 3 * MINUTE, 400, decision="error", fallback_used=True, prompt_diff_score=0.31),
    )
    roll_up(AFTER)
    by_hand = {
        "total_calls": (4, 4),
        "avg_cost_usd": (0.03, 2),
        "fallback_rate": (0.25, 4),
        "retry_rate": (0.25, 4),
        "low_confidence_rate": (0.25, 4),
        "prompt_diff_violation_rate": (0.25, 4),
        "shadow_disagreement_rate": (0.5, 2),
        "golden_financial_failure_rate": (1.0, 1),
        "high_risk_path_rate": (0.0, 4),
        "denied_calls": (1, 4),
        "error_rate": (0.25, 4),
        "cost_usd": (0.06, 4),
        "prompt_tokens": (10, 4),
    }
    for name, (value, samples) in by_hand.items():
        assert one(name).value == pytest.approx(value), name
        assert one(name).samples == samples, name
    assert one("duration_p50").value == pytest.approx(0.2, rel=0.01)
    assert one("duration_p99").value == pytest.approx(0.4, rel=0.01)


def test_nothing_to_divide_is_no_figure():
    roll_up(AFTER)
    assert (one("total_calls").value, one("total_calls").samples) == (0, 0)
    assert one("error_rate").value is None
    assert one("duration_p95").value is None
    assert figures(METRICS["error_rate"], begins=NOON, ends=AFTER, group_by=["agent"]) == []


@settings(max_examples=5, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**9), st.integers(1, 300), st.integers(1, 500), st.booleans())
def test_any_spans_in_any_window_as_plain_python_sums_them_up(seed, first, minutes, again):
    """Windows begin and end anywhere, so the wide ones are read by hours with minutes at their edges."""
    chance = random.Random(seed)
    begins, ends = NOON - 3 * HOUR, NOON + 6 * HOUR
    with transaction.atomic():
        early = any_spans(40, chance, begins, ends)
        record(*early)
        roll_up(ends + MINUTE)
        late = any_spans(10, chance, begins, ends)
        record(*late)
        roll_up(ends + 3 * MINUTE)
        if again:
            roll_up(ends + 3 * MINUTE)
        opens = begins + first * MINUTE
        assert_as_worked_out(early + late, opens, opens + minutes * MINUTE)
        assert_as_worked_out(early + late, begins, ends, agent="a", model="small")
        transaction.set_rollback(True)


def test_groups_and_filters():
    record(
        span(NOON, agent="a", tool_name="search"),
        span(NOON, agent="a", tool_name="write", decision="denied_policy"),
        span(NOON, agent="b", tool_name="search", service="crm", origin="sdk"),
        span(NOON, agent="b", kind="upstream", tool_name="search"),
    )
    roll_up(AFTER)
    grouped = figures(METRICS["denied_rate"], begins=NOON, ends=AFTER, group_by=["agent", "tool_name"])
    assert [(figure.labels, figure.value) for figure in grouped] == [
        ({"agent": "a", "tool_name": "search"}, 0.0),
        ({"agent": "a", "tool_name": "write"}, 1.0),
        ({"agent": "b", "tool_name": "search"}, 0.0),
    ]
    assert one("total_calls", filters={"service": "crm"}).value == 1
    assert one("total_calls", filters={"origin": "pipeline"}).value == 2
    assert one("total_calls", kinds=["upstream"]).value == 1, "child spans are no calls, but are summed up"
    with pytest.raises(ValueError, match="password"):
        one("total_calls", filters={"password": "x"})


def test_a_series_is_the_figure_of_each_step():
    record(*(span(NOON + n * MINUTE, decision="error" if n == 3 else "ok") for n in (0, 1, 3, 3)))
    roll_up(AFTER)
    window = {"begins": NOON, "ends": NOON + 5 * MINUTE, "step_s": 60}
    [(labels, points)] = series(METRICS["total_calls"], **window)
    assert labels == {}
    assert [point.value for point in points] == [1, 1, 0, 2, 0]
    assert [point.at for point in points] == [NOON + n * MINUTE for n in range(5)]
    [(_, points)] = series(METRICS["error_rate"], **window)
    assert [point.value for point in points] == [0, 0, None, 1, None]
    [(_, points)] = series(METRICS["error_rate"], **window, window_s=240)
    assert [point.samples for point in points] == [1, 2, 2, 4, 3]
    assert points[4].value == pytest.approx(2 / 3)
    [(_, points)] = series(METRICS["duration_p95"], begins=NOON, ends=NOON + 2 * HOUR, step_s=3600)
    assert points[0].value == pytest.approx(0.01, rel=0.01)
    assert points[1].value is None
    assert series(METRICS["error_rate"], **window, group_by=["agent"])[0][0] == {"agent": "billing-agent"}


def test_a_window_before_what_minutes_are_kept_for_is_read_by_the_hour():
    hour = NOON - dt.timedelta(days=30)
    HourRollup.objects.create(at=hour, origin="pipeline", kind="tool_call", service="s", calls=7, first_at=hour)
    RollupWatermark.objects.create(at=NOON)
    assert MinuteRollup.objects.count() == 0
    assert one("total_calls", hour + 20 * MINUTE, hour + 50 * MINUTE).value == 7
    assert one("total_calls", hour - 20 * MINUTE, NOON).value == 7
    assert one("total_calls", hour + HOUR, NOON).value == 0


def test_a_gauge_is_read_as_it_stands():
    register_gauge("test_waiting", "Waits", lambda: [Reading(2, {"agent": "a"}), Reading(3, {"agent": "b"})])
    register_gauge("test_age", "Age", lambda: [Reading(2, {"agent": "a"}), Reading(3, {"agent": "b"})], Unit.SECONDS)
    register_gauge("test_silent", "Silent", list, Unit.SECONDS)
    try:
        assert one("test_waiting").value == 5
        assert one("test_waiting", filters={"agent": "b"}).value == 3
        assert one("test_age").value == 3
        assert one("test_silent").value is None
        grouped = figures(METRICS["test_waiting"], begins=NOON, ends=AFTER, group_by=["agent"])
        assert [(figure.labels["agent"], figure.value) for figure in grouped] == [("a", 2), ("b", 3)]
    finally:
        for name in ("test_waiting", "test_age", "test_silent"):
            del METRICS[name]
