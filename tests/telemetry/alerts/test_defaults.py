"""The rules that come with an installation are those of the earlier library, and what operators must hear of."""

import pytest

from telemetry.alerts.defaults import create_default_rules
from telemetry.alerts.evaluation import evaluate
from telemetry.metrics.definitions import METRICS
from telemetry.models import AlertInstance, AlertRule, AlertRuleHealth
from tests.telemetry.alerts.figures import NOON, calls, minute, summed_up_to

pytestmark = pytest.mark.django_db
THRESHOLDS = {
    "avg_cost_usd": 0.05,
    "fallback_rate": 0.10,
    "retry_rate": 0.15,
    "low_confidence_rate": 0.20,
    "prompt_diff_violation_rate": 0.05,
    "shadow_disagreement_rate": 0.10,
    "deterministic_fallback_rate": 0.30,
    "golden_financial_failure_rate": 0.01,
}
OPERATIONS = {
    "denied_rate",
    "error_rate",
    "duration_p95",
    "upstream_tools_quarantined",
    "upstreams_down",
    "pending_actions_waiting",
    "unknown_outcomes",
    "partitions_ahead",
    "rollups_behind",
}


def test_the_rules_of_an_installation_are_on_and_tell_nobody_yet():
    create_default_rules()
    rules = {rule.metric: rule for rule in AlertRule.objects.all()}
    assert set(rules) == set(THRESHOLDS) | OPERATIONS
    assert {name: rules[name].threshold for name in THRESHOLDS} == THRESHOLDS
    assert all(rules[name].group_by == ["service"] for name in THRESHOLDS)
    assert all(rule.enabled and not rule.channels.exists() for rule in rules.values())
    assert rules["fallback_rate"].key == "fallback_rate_above_threshold"
    assert rules["partitions_ahead"].key == "partitions_ahead_below_threshold"
    for rule in rules.values():
        rule.full_clean()


def test_what_operators_changed_stays_when_it_is_made_again():
    create_default_rules()
    AlertRule.objects.filter(metric="fallback_rate").update(threshold=0.4, enabled=False, name="Ours")
    assert create_default_rules() == 0
    rule = AlertRule.objects.get(metric="fallback_rate")
    assert (rule.threshold, rule.enabled, rule.name) == (0.4, False, "Ours")


def test_what_is_reported_hides_no_tool_of_ours_that_fails_and_sets_off_no_alert_of_one():
    create_default_rules()
    calls(minute(0), failed=30, tool="ours")
    calls(minute(0), ok=10_000, tool="ours", service="reported")
    calls(minute(0), failed=10_000, tool="well", service="reported")
    summed_up_to(minute(1))
    evaluate(minute(1))
    [alert] = AlertInstance.objects.filter(rule__metric="error_rate", state="firing")
    assert alert.labels == {"service": "observatory", "tool_name": "ours"}


def test_every_default_rule_can_be_asked():
    create_default_rules()
    evaluate(NOON)
    assert list(AlertRuleHealth.objects.exclude(error="").values_list("rule__metric", "error")) == []


def test_a_rule_whose_metric_nobody_registered_says_so_and_stops_no_other(monkeypatch):
    create_default_rules()
    monkeypatch.delitem(METRICS, "upstreams_down")
    evaluate(NOON)
    said = dict(AlertRuleHealth.objects.values_list("rule__metric", "error"))
    assert said.pop("upstreams_down") == "There is no metric upstreams_down here."
    assert set(said.values()) == {""}
    assert "partitions_ahead" in said
