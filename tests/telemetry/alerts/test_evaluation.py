"""Rules are asked over rollups at the watermark; what they find is written once, with what is to be told."""

import datetime as dt

import pytest
from django.db import connection

from telemetry.alerts import evaluation
from telemetry.alerts.evaluation import evaluate
from telemetry.alerts.moves import CHANGED, SWITCHED_OFF
from telemetry.metrics.definitions import METRICS
from telemetry.metrics.gauges import Reading, register_gauge
from telemetry.models import (
    AlertChannel,
    AlertInstance,
    AlertNotification,
    AlertRule,
    AlertRuleHealth,
    AlertTransition,
    Heartbeat,
    MinuteRollup,
)
from tests.races.threads import at_once
from tests.telemetry.alerts.figures import NOON, calls, error_rule, minute, summed_up_to

pytestmark = pytest.mark.django_db


@pytest.fixture
def mail():
    return AlertChannel.objects.create(name="on call", kind="email", recipients="oncall@example.com")


def evaluate_at(number):
    """The rollups reach so far, and so does the clock."""
    summed_up_to(minute(number))
    return evaluate(minute(number))


def transitions():
    return [(row.was, row.became, row.labels) for row in AlertTransition.objects.order_by("pk")]


def messages(**wanted):
    rows = AlertNotification.objects.filter(**wanted).order_by("instance", "version")
    return [(row.kind, row.message["value"]) for row in rows]


def test_a_rule_fires_and_resolves_with_its_figures_and_who_is_told(mail):
    rule = error_rule(service="observatory")
    rule.channels.add(mail)
    calls(NOON, ok=8, failed=2)
    calls(minute(1), ok=10)
    evaluate_at(1)
    instance = AlertInstance.objects.get()
    assert (instance.state, instance.value, instance.samples) == ("firing", 0.2, 10)
    assert instance.labels == {"service": "observatory"}
    assert instance.since == instance.started_at == minute(1)
    evaluate_at(2)
    instance.refresh_from_db()
    assert (instance.state, instance.value) == ("resolved", 0.0)
    assert messages() == [("firing", 0.2), ("resolved", 0.0)]
    [fired, resolved] = AlertTransition.objects.order_by("pk")
    assert (fired.was, fired.became, fired.at, fired.value, fired.threshold) == (
        "inactive",
        "firing",
        minute(1),
        0.2,
        0.1,
    )
    assert fired.episode == resolved.episode == instance.episode
    assert Heartbeat.objects.get(name="alerts").at == minute(2)


def test_nothing_is_evaluated_where_the_figures_do_not_get_newer():
    error_rule()
    calls(NOON, failed=5)
    evaluate_at(1)
    before = AlertInstance.objects.values().get()
    calls(minute(1), ok=100)
    evaluate(minute(30))
    assert AlertInstance.objects.values().get() == before
    assert len(transitions()) == 1


def test_people_are_told_again_where_the_figures_do_not_get_newer_and_how_old_they_are(mail):
    rule = error_rule(repeat_s=600)
    rule.channels.add(mail)
    calls(NOON, failed=5)
    evaluate_at(1)
    evaluate(minute(10))
    assert [kind for kind, _ in messages()] == ["firing"]
    evaluate(minute(11))
    evaluate(minute(12))
    [_, repeat] = AlertNotification.objects.order_by("version")
    assert (repeat.kind, repeat.message["as_of"]) == ("repeat", minute(1).isoformat())


def test_each_set_of_labels_is_an_alert_of_its_own_and_one_that_is_gone_resolves():
    error_rule(group_by=["tool_name"])
    calls(NOON, failed=5, tool="a")
    calls(NOON, ok=5, tool="b")
    calls(NOON, failed=1, ok=1, tool="c")
    calls(minute(1), failed=5, tool="a")
    evaluate_at(1)
    assert dict(AlertInstance.objects.values_list("labels__tool_name", "state")) == {"a": "firing", "c": "firing"}
    evaluate_at(2)
    assert dict(AlertInstance.objects.values_list("labels__tool_name", "state")) == {"a": "firing", "c": "resolved"}


@pytest.mark.parametrize(("no_data", "state"), [("keep", "firing"), ("resolve", "resolved"), ("fire", "firing")])
def test_too_few_samples_are_what_the_rule_says(no_data, state):
    error_rule(min_samples=5, no_data=no_data)
    calls(NOON, failed=5)
    calls(minute(1), ok=4)
    evaluate_at(1)
    evaluate_at(2)
    assert AlertInstance.objects.get().state == state


def test_a_service_that_falls_silent_can_fire():
    error_rule(no_data="fire", group_by=["service"])
    calls(NOON, ok=5)
    evaluate_at(1)
    assert AlertInstance.objects.get().state == "inactive"
    evaluate_at(2)
    assert AlertInstance.objects.get().state == "firing"


def test_a_sum_of_nothing_is_zero_and_needs_no_samples():
    error_rule(metric="total_calls", comparison="below", threshold=1, min_samples=20)
    summed_up_to(NOON)
    evaluate(NOON)
    assert (AlertInstance.objects.get().state, AlertInstance.objects.get().value) == ("firing", 0.0)


def test_a_gauge_is_read_now_also_where_rollups_stand_still(monkeypatch):
    monkeypatch.setitem(METRICS, "test_gauge", METRICS["frozen"])  # gone again after the test
    register_gauge("test_gauge", "A test", lambda: [Reading(3, {"tool_name": "a"}), Reading(1, {"tool_name": "b"})])
    error_rule(metric="test_gauge", threshold=2, group_by=["tool_name"])
    evaluate(minute(5) + dt.timedelta(seconds=7))
    [instance] = AlertInstance.objects.all()
    assert (instance.labels, instance.value, instance.evaluated_at) == ({"tool_name": "a"}, 3.0, minute(5))


def test_only_the_worst_are_alerts_where_there_are_too_many(monkeypatch):
    monkeypatch.setattr(evaluation, "MOST_LABEL_SETS", 2)
    error_rule(group_by=["tool_name"])
    for number in range(4):
        calls(NOON, failed=number + 1, ok=4 - number, tool=f"t{number}")
        calls(minute(1), failed=4 - number, ok=number + 1, tool=f"t{number}")
    evaluate_at(1)
    firing = AlertInstance.objects.filter(state="firing").values_list("labels__tool_name", flat=True)
    assert sorted(firing) == ["t2", "t3"]
    assert AlertRuleHealth.objects.get().left_out == 2
    # What fires keeps its place; nothing of it resolves because others are worse.
    evaluate_at(2)
    assert sorted(AlertInstance.objects.filter(state="firing").values_list("labels__tool_name", flat=True)) == [
        "t2",
        "t3",
    ]


@pytest.mark.parametrize(
    ("change", "why"), [({"enabled": False}, SWITCHED_OFF), ({"revision": 2, "threshold": 0.9}, CHANGED)]
)
def test_a_rule_that_is_off_or_changed_while_it_fires_ends_that_and_tells(mail, change, why):
    rule = error_rule()
    rule.channels.add(mail)
    for number in range(3):
        calls(minute(number), failed=5, ok=5)
    evaluate_at(1)
    AlertRule.objects.filter(pk=rule.pk).update(**change)
    evaluate_at(2)
    assert AlertInstance.objects.get().state == "resolved"
    assert AlertTransition.objects.latest("pk").why == why
    told = AlertNotification.objects.get(kind="resolved")
    assert told.message["why"] == why
    evaluate_at(3)
    assert len(transitions()) == 2


@pytest.mark.parametrize("change", [{"enabled": False}, {"threshold": 0.9, "revision": 2}])
def test_a_rule_that_an_operator_changes_while_it_is_asked_moves_nothing_by_what_it_asked_before(mail, change):
    rule = error_rule()
    rule.channels.add(mail)
    calls(minute(0), failed=5)
    summed_up_to(minute(1))
    AlertRule.objects.filter(pk=rule.pk).update(**change)
    evaluation.evaluate_rule(rule, minute(1), minute(1))
    assert transitions() == messages() == []


def test_a_rule_that_errs_is_noted_and_stops_no_other(monkeypatch):
    first, second = error_rule(name="a"), error_rule(name="b")
    real = evaluation.figures

    def broken_for_one(metric, *, begins, ends, filters, group_by):
        if first.pk == asked.pop(0):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")
        return real(metric, begins=begins, ends=ends, filters=filters, group_by=group_by)

    asked = [first.pk, second.pk]
    monkeypatch.setattr(evaluation, "figures", broken_for_one)
    calls(NOON, failed=5)
    evaluate_at(1)
    assert AlertRuleHealth.objects.get(rule=first).error == "DataError: see the worker's log."
    assert AlertRuleHealth.objects.get(rule=first).failed_at == minute(1)
    assert AlertInstance.objects.get().rule == second
    asked = [second.pk, second.pk]
    evaluate_at(2)
    assert AlertRuleHealth.objects.get(rule=first).error == ""


def test_labels_that_leave_are_masked_and_visible(mail):
    rule = error_rule(group_by=["model"])
    rule.channels.add(mail)
    calls(NOON, failed=5)
    model = "sk-ant-api03-" + "A1b2" * 20 + "\u202e"
    MinuteRollup.objects.update(model=model)
    evaluate_at(1)
    shown = AlertNotification.objects.get().message["labels"]["model"]
    assert "A1b2" not in shown
    assert "masked" in shown
    assert "\u202e" not in shown


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_told", [True, False])
def test_workers_at_once_move_each_alert_once(mail, is_told):
    """Also where no message stands in the way of a second transition."""
    rule = error_rule(group_by=["tool_name"])
    rule.channels.set([mail] if is_told else [])
    for number in range(300):
        calls(NOON, failed=1, tool=f"tool-{number:03}")
    summed_up_to(minute(1))
    at_once(6, lambda _: evaluate(minute(1)))
    assert AlertInstance.objects.filter(state="firing").count() == 300
    assert AlertTransition.objects.count() == 300
    assert AlertNotification.objects.count() == (300 if is_told else 0)
    # All of them are gone a minute later.
    summed_up_to(minute(2))
    at_once(6, lambda _: evaluate(minute(2)))
    assert AlertTransition.objects.count() == 600
    assert AlertNotification.objects.filter(kind="resolved").count() == (300 if is_told else 0)
    assert AlertRuleHealth.objects.get().error == ""
