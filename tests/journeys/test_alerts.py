"""Alerts by the public doors: a rule and a channel made in admin, calls that fail, a message that arrives, its end."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from observatory.groups import AUDITORS, OPERATORS
from telemetry.delivery.channel_acts import save_channel
from telemetry.metrics.rollups import roll_up
from telemetry.models import (
    AlertChannel,
    AlertInstance,
    AlertNotification,
    AlertRule,
    AlertSilence,
    AuditEvent,
    Heartbeat,
)
from telemetry.recorder import SYSTEM
from telemetry.tasks import evaluate_alerts, send_alerts
from tests.journeys.alert_forms import (
    ALERTS,
    CHANNEL,
    CHANNELS,
    RULE,
    RULES,
    SILENCES,
    errors_of,
    events,
    failing_since,
    silence_for,
    this_minute,
)
from tests.journeys.people import signed_in
from tests.telemetry.alerts.figures import calls, summed_up_to
from tests.telemetry.delivery.messages import answering, channel, received, status
from tests.telemetry.delivery.test_shapes import verified
from tests.telemetry.egress.peer import OK
from tools.scopes import Scope

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("opened", "only_our_rules")]


@pytest.fixture
def reader(world):
    return world.caller(world.allowing(), scopes=[Scope.TELEMETRY_READ])


def firing(reader: Any) -> dict[str, Any]:
    answer = reader.get("/telemetry/alerts")
    assert answer.status_code == 200
    return answer.json()


# the whole way


def test_calls_that_are_denied_are_told_and_so_is_their_end(world, edda, listen, reader):
    receiver = listen()
    made = edda.post(f"{CHANNELS}add/", CHANNEL | {"url": receiver.url("/hook")})
    secret = made.context["secret"]
    assert "no-store" in made["Cache-Control"]
    hook = AlertChannel.objects.get()
    rule = RULE | {"metric": "denied_rate", "window_s": "300", "channels": [hook.pk]}
    edda.post(f"{RULES}add/", rule)
    caller = world.caller(world.allowing("search_customer", name="narrow"), name="crm-agent")
    for _ in range(3):
        assert caller.call("search_customer", {"query": "ACME"}).status_code == 200
        assert caller.call("create_ticket", {"customer_id": 1, "title": "x"}).status_code in (403, 404)
    roll_up(timezone.now() + dt.timedelta(minutes=2))
    evaluate_alerts()
    [alert] = firing(reader)["alerts"]
    assert (alert["state"], alert["value"], alert["samples"]) == ("firing", 1.0, 3)
    assert alert["silenced"] is False
    send_alerts()
    [told] = received(receiver)
    assert verified(secret, told)
    assert (told.json["type"], told.json["data"]["value"]) == ("alert.firing", 1.0)
    roll_up(timezone.now() + dt.timedelta(minutes=20))
    evaluate_alerts()
    assert firing(reader)["alerts"] == []
    send_alerts()
    assert [one.json["type"] for one in received(receiver)] == ["alert.firing", "alert.resolved"]
    assert Heartbeat.objects.filter(name="alerts").exists()


# GET /telemetry/alerts


def test_a_default_rule_is_known_by_its_key(reader):
    AlertRule.objects.filter(metric="error_rate").update(
        enabled=True, window_s=60, min_samples=1, keep_firing_s=0, for_s=0
    )
    failing_since(1)
    evaluate_alerts()
    answer = firing(reader)
    assert answer["keys"] == ["error_rate_above_threshold"]
    [alert] = answer["alerts"]
    assert (alert["key"], alert["threshold"], alert["labels"]) == (
        "error_rate_above_threshold",
        0.1,
        {"service": "observatory", "tool_name": "create_ticket"},
    )


def test_what_may_fire_soon_is_listed_but_is_no_key_yet(reader):
    AlertRule.objects.filter(metric="error_rate").update(enabled=True, window_s=60, min_samples=1, for_s=120)
    failing_since(1)
    evaluate_alerts()
    answer = firing(reader)
    assert answer["keys"] == []
    assert [alert["state"] for alert in answer["alerts"]] == ["pending"]


def test_a_silence_is_seen_and_the_state_goes_on(reader, edda):
    rule = AlertRule.objects.get(metric="error_rate")
    AlertRule.objects.filter(pk=rule.pk).update(enabled=True, window_s=60, min_samples=1)
    failing_since(1)
    assert edda.post(f"{SILENCES}add/", silence_for(1, tool_name="create_ticket")).status_code == 302
    evaluate_alerts()
    [alert] = firing(reader)["alerts"]
    assert (alert["state"], alert["silenced"]) == ("firing", True)


@pytest.mark.parametrize(("scopes", "query", "code"), [([], "", 403), ([Scope.TELEMETRY_READ], "?tool=x", 400)])
def test_alerts_are_refused(world, scopes, query, code):
    caller = world.caller(world.allowing(), scopes=scopes)
    assert caller.get(f"/telemetry/alerts{query}").status_code == code


# alerts


def test_the_list_has_what_fires_first_and_finds_by_label(edda):
    edda.post(f"{RULES}add/", RULE)
    now = failing_since(2)
    calls(now - dt.timedelta(minutes=1), failed=5, tool="send_message")
    calls(now, ok=5, tool="send_message")
    evaluate_alerts()
    summed_up_to(now + dt.timedelta(minutes=1))
    calls(now, failed=5)
    evaluate_alerts()
    rows = edda.get(ALERTS).context["cl"].result_list
    assert [(row.labels["tool_name"], row.state) for row in rows] == [
        ("create_ticket", "firing"),
        ("send_message", "resolved"),
    ]
    assert 'data-label="State"' in edda.get(ALERTS).content.decode()
    found = edda.get(f"{ALERTS}?tool=send_message").context["cl"].result_list
    assert [row.labels["tool_name"] for row in found] == ["send_message"]
    assert "create_ticket" in edda.get("/admin/alerts-over-time/?past=week").content.decode()


def test_old_figures_are_said_to_be_old(edda):
    summed_up_to(this_minute() - dt.timedelta(minutes=10))
    assert "10 min ago" in edda.get(ALERTS).content.decode()


def test_an_alerts_page_tells_who_was_told(edda, listen):
    down = listen(answering(status(503, body=b"down")))
    failing = channel(name="down", url=down.url())
    edda.post(f"{RULES}add/", RULE | {"channels": [failing.pk]})
    failing_since(1)
    evaluate_alerts()
    alert = AlertInstance.objects.get()
    page = f"{ALERTS}{alert.pk}/change/"
    assert "waits to be sent" in edda.get(page).content.decode()
    send_alerts()
    text = edda.get(page).content.decode()
    assert "tried 1 time: It answered 503: down" in text
    assert f"rule={alert.rule_id}&amp;tool_name=create_ticket" in text
    form = edda.get(f"{SILENCES}add/?rule={alert.rule_id}&tool_name=create_ticket").context["adminform"].form
    assert (form.initial["rule"], form.initial["tool_name"]) == (str(alert.rule_id), "create_ticket")


# channels


BAD_CHANNELS = (
    ({"kind": "email"}, "recipients"),
    ({"kind": "email", "recipients": "alice@example.com\nnobody"}, "recipients"),
    ({"kind": "webhook"}, "url"),
    ({"kind": "webhook", "url": "http://alerts.example.com/"}, "url"),
    ({"kind": "webhook", "url": "http://10.0.0.7/"}, "url"),
    ({"kind": "webhook", "url": "ftp://alerts.example.com/"}, "url"),
    ({"kind": "slack"}, "secret"),
    ({"kind": "slack", "secret": "http://hooks.slack.com/services/x"}, "secret"),
    ({"kind": "pagerduty"}, "secret"),
    ({"kind": "pagerduty", "secret": "short"}, "secret"),
    ({"kind": "pagerduty", "secret": "R" * 32, "url": "https://evil.example/v2/enqueue"}, "url"),
)


def test_a_channel_that_is_wrong_is_refused_at_its_field(edda):
    for typed, field in BAD_CHANNELS:
        page = edda.post(f"{CHANNELS}add/", CHANNEL | typed)
        assert (page.status_code, list(errors_of(page))) == (200, [field]), typed
    assert not AlertChannel.objects.exists()


@pytest.mark.parametrize(
    "typed",
    [
        {"kind": "email", "recipients": "alice@example.com"},
        {"kind": "webhook", "url": "https://alerts.example.com/hook"},
        {"kind": "slack", "secret": "https://hooks.slack.com/services/T0/B0/3f9c"},
        {"kind": "pagerduty", "secret": "R" * 32},
        {"kind": "pagerduty", "secret": "R" * 32, "url": "https://events.eu.pagerduty.com/v2/enqueue"},
    ],
)
def test_a_secret_goes_in_and_never_comes_out(edda, typed):
    edda.post(f"{CHANNELS}add/", CHANNEL | typed)
    made = AlertChannel.objects.get()
    pages = [edda.get(f"{CHANNELS}{made.pk}/change/"), edda.get(CHANNELS), edda.get(f"{CHANNELS}{made.pk}/test/")]
    secret = typed.get("secret", "nothing to find")
    event = AuditEvent.objects.get(type="alert_channel.created")
    assert all(secret not in page.content.decode() for page in pages)
    assert secret not in str(event.facts)
    # An empty field keeps what is stored.
    before = bytes(made.sealed_secret or b"")
    kept = CHANNEL | typed | {"name": "renamed", "secret": ""}
    assert edda.post(f"{CHANNELS}{made.pk}/change/", kept).status_code == 302
    made.refresh_from_db()
    assert (made.name, bytes(made.sealed_secret or b"")) == ("renamed", before)


def test_whoever_leads_a_channel_elsewhere_does_not_take_its_secret_along(edda, listen):
    pager = channel("pagerduty", secret="R" * 32, url=listen().url())
    typed = CHANNEL | {"kind": "pagerduty", "name": pager.name, "url": listen().url(), "recipients": ""}
    page = edda.post(f"{CHANNELS}{pager.pk}/change/", typed)
    assert (page.status_code, list(errors_of(page))) == (200, ["secret"])
    assert edda.post(f"{CHANNELS}{pager.pk}/change/", typed | {"secret": "S" * 32}).status_code == 302


def test_a_channel_that_is_changed_keeps_the_secret_that_was_replaced_meanwhile(edda):
    hook = channel(url="https://alerts.example.com/hook")
    read_before = AlertChannel.objects.get(pk=hook.pk)
    edda.post(f"{CHANNELS}{hook.pk}/replace/", {"grace_hours": "0"})
    replaced = bytes(AlertChannel.objects.get(pk=hook.pk).sealed_secret)
    read_before.name = "renamed"
    save_channel(read_before, SYSTEM)
    hook.refresh_from_db()
    assert (hook.name, bytes(hook.sealed_secret)) == ("renamed", replaced)


def test_a_secret_is_replaced_with_a_grace(edda, listen):
    receiver = listen()
    first = edda.post(f"{CHANNELS}add/", CHANNEL | {"url": receiver.url()}).context["secret"]
    hook = AlertChannel.objects.get()
    second = edda.post(f"{CHANNELS}{hook.pk}/replace/", {"grace_hours": "1"}).context["secret"]
    assert first != second
    edda.post(f"{CHANNELS}{hook.pk}/test/")
    [one] = received(receiver)
    assert verified(first, one)
    assert verified(second, one)
    edda.post(f"{CHANNELS}{hook.pk}/replace/", {"grace_hours": "0"})
    edda.post(f"{CHANNELS}{hook.pk}/test/")
    assert not verified(second, received(receiver)[1])


def test_a_test_is_really_sent_and_its_answer_shown(edda, listen):
    receiver = listen(answering(OK, status(404, body=b"no such hook")))
    hook = channel(url=receiver.url())
    page = f"{CHANNELS}{hook.pk}/test/"
    assert "is sent to http://127.0.0.1" in edda.get(page).content.decode()
    assert receiver.requests == []
    assert "The test arrived" in edda.post(page).content.decode()
    [one] = received(receiver)
    assert one.json["type"] == "test"
    refused = edda.post(page).content.decode()
    assert "The test did not arrive" in refused
    assert "It answered 404: no such hook" in refused
    hook.refresh_from_db()
    assert (hook.last_sent_at is not None, hook.last_error) == (True, "It answered 404: no such hook")
    told = AuditEvent.objects.filter(type="alert_channel.tested").order_by("pk")
    assert [event.facts["arrived"] for event in told] == [True, False]
    assert not AlertNotification.objects.exists()


def test_a_test_of_pagerduty_opens_an_incident_and_closes_it(edda, listen):
    receiver = listen()
    pager = channel("pagerduty", secret="R" * 32, url=receiver.url())
    edda.post(f"{CHANNELS}{pager.pk}/test/")
    opened, closed = [one.json for one in received(receiver)]
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"]


# silences


def test_a_silence_is_ended_early_and_what_still_fires_is_told(edda, listen):
    receiver = listen()
    edda.post(f"{RULES}add/", RULE | {"channels": [channel(url=receiver.url()).pk]})
    edda.post(f"{SILENCES}add/", silence_for(3, tool_name="create_ticket"))
    failing_since(1)
    evaluate_alerts()
    send_alerts()
    assert receiver.requests == []
    silence = AlertSilence.objects.get()
    alert = edda.get(f"{ALERTS}{AlertInstance.objects.get().pk}/change/").content.decode()
    assert "held back by a silence" in alert
    page = f"{SILENCES}{silence.pk}/end/"
    assert "are told within seconds" in edda.get(page).content.decode()
    assert edda.post(page).status_code == 302
    send_alerts()
    assert len(receiver.requests) == 1
    edda.post(page)
    assert events("silence.") == ["silence.created", "silence.ended"]
    assert AuditEvent.objects.get(type="silence.ended").facts == {"held_back": 1}


@pytest.mark.parametrize("hours", [-1, 24 * 31])
def test_a_silence_ends_and_not_in_years(edda, hours):
    page = edda.post(f"{SILENCES}add/", silence_for(hours))
    assert list(errors_of(page)) == ["ends_at"]
    assert not AlertSilence.objects.exists()


def test_a_silence_without_an_end_is_refused(edda):
    page = edda.post(f"{SILENCES}add/", silence_for(1) | {"ends_at_0": "", "ends_at_1": ""})
    assert list(errors_of(page)) == ["ends_at"]


# who may


MAY = {
    # page: which groups may open it by GET, of operators, auditors and nobody
    RULES: (True, True, False),
    f"{RULES}add/": (False, False, False),
    ALERTS: (True, True, False),
    "/admin/alerts-over-time/": (True, True, False),
    CHANNELS: (True, True, False),
    f"{CHANNELS}add/": (False, False, False),
    SILENCES: (True, True, False),
    f"{SILENCES}add/": (True, False, False),
    "test": (True, False, False),
    "replace": (False, False, False),
    "end": (True, False, False),
}


@pytest.mark.slow
def test_pages_are_for_those_who_may(world, edda, listen):
    hook = channel(url=listen().url())
    edda.post(f"{SILENCES}add/", silence_for(1))
    pages = {
        "test": f"{CHANNELS}{hook.pk}/test/",
        "replace": f"{CHANNELS}{hook.pk}/replace/",
        "end": f"{SILENCES}{AlertSilence.objects.get().pk}/end/",
    }
    clients = [
        signed_in(who) for who in (world.person("olga", OPERATORS), world.person("axel", AUDITORS), world.charlie)
    ]
    for path, allowed in MAY.items():
        where = pages.get(path, path)
        assert edda.get(where).status_code == 200, path
        for client, may in zip(clients, allowed, strict=True):
            for ask in (client.get, client.post):
                assert (ask(where).status_code == 403) == (not may), (path, may)
