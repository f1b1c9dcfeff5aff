"""Alert rules in admin: made, changed, refused at the field that is wrong, and tried on the past before a save."""

import datetime as dt
from itertools import pairwise

import pytest

from telemetry.alerts.evaluation import evaluate_rule
from telemetry.models import AlertInstance, AlertRule, AuditEvent
from telemetry.tasks import evaluate_alerts, send_alerts
from tests.journeys.alert_forms import ALERTS, RULE, RULES, errors_of, events, failing_since, this_minute
from tests.telemetry.alerts.figures import calls, summed_up_to
from tests.telemetry.delivery.messages import channel, received

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("only_our_rules")]


def test_a_rule_is_made_changed_and_recorded(edda):
    assert edda.post(f"{RULES}add/", RULE).status_code == 302
    rule = AlertRule.objects.get(name="Tickets fail")
    assert (rule.revision, rule.key, rule.group_by, rule.window_s) == (1, "", ["tool_name"], 60)
    edda.post(f"{RULES}{rule.pk}/change/", RULE | {"severity": "info"})
    rule.refresh_from_db()
    assert (rule.severity, rule.revision) == ("info", 1)
    edda.post(f"{RULES}{rule.pk}/change/", RULE | {"threshold": "0.2"})
    rule.refresh_from_db()
    assert (rule.threshold, rule.revision) == (0.2, 2)
    assert events("alert_rule.") == ["alert_rule.created", "alert_rule.changed", "alert_rule.changed"]
    last = AuditEvent.objects.filter(type="alert_rule.changed").latest("pk")
    assert last.facts["threshold"] == {"from": 0.1, "to": 0.2}
    assert last.actor == "edda"


def test_a_rule_that_is_changed_while_it_fires_ends_that_at_once(edda):
    edda.post(f"{RULES}add/", RULE)
    failing_since(1)
    evaluate_alerts()
    rule = AlertRule.objects.get(name="Tickets fail")
    edda.post(f"{RULES}{rule.pk}/change/", RULE | {"threshold": "0.9"})
    assert not AlertInstance.objects.open().exists()
    page = edda.get(f"{ALERTS}{AlertInstance.objects.get().pk}/change/").content.decode()
    assert "The rule was changed." in page


def test_a_rule_that_is_changed_and_fires_again_has_both_times_in_its_bar(edda):
    edda.post(f"{RULES}add/", RULE)
    now = failing_since(3)
    summed_up_to(now - dt.timedelta(minutes=1))
    evaluate_alerts()
    rule = AlertRule.objects.get(name="Tickets fail")
    edda.post(f"{RULES}{rule.pk}/change/", RULE | {"threshold": "0.15"})
    summed_up_to(now)
    evaluate_alerts()
    alert = AlertInstance.objects.get()
    assert alert.since == now
    for page in (f"{ALERTS}{alert.pk}/change/", "/admin/alerts-over-time/"):
        bar = edda.get(page).content.decode()
        assert bar.count('<rect class="bar-firing"') == 2, page
        assert f"firing {now - dt.timedelta(minutes=1):%Y-%m-%d %H:%M} to" in bar, page


@pytest.mark.usefixtures("opened")
def test_a_channel_that_a_firing_rule_is_given_hears_of_it_once_and_of_its_end(edda, listen):
    edda.post(f"{RULES}add/", RULE)
    now = failing_since(2)
    summed_up_to(now - dt.timedelta(minutes=1))
    evaluate_alerts()
    page = f"{RULES}{AlertRule.objects.get(name='Tickets fail').pk}/change/"
    receiver = listen()
    given = RULE | {"channels": [channel(url=receiver.url()).pk]}
    for severity in ("critical", "info"):
        edda.post(page, given | {"severity": severity})
        send_alerts()
    assert [one.json["type"] for one in received(receiver)] == ["alert.firing"]
    edda.post(page, {name: value for name, value in given.items() if name != "enabled"})
    send_alerts()
    assert [one.json["type"] for one in received(receiver)] == ["alert.firing", "alert.resolved"]


WRONG = {
    "no such metric": ({"metric": "moon_phase"}, "metric"),
    "no metric": ({"metric": ""}, "metric"),
    "no window": ({"window_s": ""}, "window_s"),
    "half a minute": ({"window_s": "90"}, "window_s"),
    "too wide a window": ({"window_s": "864000"}, "window_s"),
    "a gauge with a window": (
        {"metric": "partitions_ahead", "threshold": "3", "group_by": [], "window_s": "300"},
        "window_s",
    ),
    "a gauge by what it has not": (
        {"metric": "partitions_ahead", "threshold": "3", "window_s": "", "group_by": ["tool_name"]},
        "group_by",
    ),
    "a share above one": ({"threshold": "10"}, "threshold"),
    "no number": ({"threshold": "nan"}, "threshold"),
    "told too often": ({"repeat_s": "5"}, "repeat_s"),
    "fires after more than a week": ({"for_s": "9999999"}, "for_s"),
    "a name that is taken": ({"name": "A tool fails often"}, "name"),
}


@pytest.mark.parametrize("button", [{}, {"_try": "day"}], ids=["saved", "tried"])
def test_a_rule_that_is_wrong_is_refused_at_its_field(edda, button):
    for name, (change, field) in WRONG.items():
        page = edda.post(f"{RULES}add/", RULE | change | button)
        assert page.status_code == 200, name
        assert list(errors_of(page)) == [field], name
        assert "tried" not in page.context, name
    assert not AlertRule.objects.filter(name="Tickets fail").exists()


def test_a_rule_is_tried_on_the_past_and_not_saved(edda):
    now = failing_since(20)
    calls(now - dt.timedelta(minutes=60), failed=5)
    page = edda.post(f"{RULES}add/", RULE | {"_try": "day"})
    tried = page.context["tried"]
    assert tried["headline"] == "It would have fired 2 times in the past 24 hours."
    [latest, first] = tried["episodes"]
    assert (latest["labels"], latest["value"], latest["ended_at"]) == ("tool create_ticket", "20 %", None)
    assert latest["fired_at"] == now - dt.timedelta(minutes=19)
    assert first["fired_at"] == now - dt.timedelta(minutes=59)
    assert (first["value"], first["lasted"]) == ("100 %", "1 min")
    assert "<svg" in tried["chart"]
    text = page.content.decode()
    assert "style=" not in tried["chart"]
    assert "Nothing was saved." in text
    assert not AlertRule.objects.filter(name="Tickets fail").exists()
    assert not AlertInstance.objects.exists()
    assert events("alert_rule.") == []
    # Once the threshold is above the figures, it would not have fired.
    high = edda.post(f"{RULES}add/", RULE | {"threshold": "1", "_try": "week"}).context["tried"]
    assert high["headline"] == "It would not have fired in the past 7 days."


def test_what_a_rule_is_said_to_have_done_is_what_it_did(edda):
    """The preview and the evaluation are the same step over the same figures."""
    now = this_minute()
    pattern = [0, 5, 5, 0, 0, 5, 5, 5, 0, 0]
    for n, failed in enumerate(pattern):
        calls(now - dt.timedelta(minutes=len(pattern) - n), ok=5, failed=failed)
    summed_up_to(now)
    typed = RULE | {"for_s": "60", "keep_firing_s": "60"}
    tried = edda.post(f"{RULES}add/", typed | {"_try": "day"}).context["tried"]
    edda.post(f"{RULES}add/", typed)
    rule = AlertRule.objects.get(name="Tickets fail")
    for n in range(len(pattern) + 1):
        at = now - dt.timedelta(minutes=len(pattern) - n)
        evaluate_rule(rule, at, at)
    moves = AlertInstance.objects.get().transitions.order_by("pk").values_list("became", "at")
    really = [(a, b) for (became, a), (_, b) in pairwise(moves) if became == "firing"]
    assert [(one["fired_at"], one["ended_at"]) for one in reversed(tried["episodes"])] == really
    assert len(really) == 2


def test_a_gauge_is_tried_on_this_moment(edda):
    typed = RULE | {
        "metric": "partitions_ahead",
        "threshold": "100",
        "comparison": "below",
        "window_s": "",
        "group_by": [],
    }
    tried = edda.post(f"{RULES}add/", typed | {"_try": "day"}).context["tried"]
    assert tried["headline"] == "Out of bounds now: 1 of 1."
    assert edda.post(f"{RULES}add/", typed).status_code == 302


def test_a_rule_that_cannot_be_asked_says_so_in_admin(edda):
    AlertRule.objects.create(name="Old", metric="gone_gauge", threshold=1)
    evaluate_alerts()
    assert "There is no metric gone_gauge here." in edda.get(RULES).content.decode()
    assert [row.name for row in edda.get(f"{RULES}?evaluation=failed").context["cl"].result_list] == ["Old"]
