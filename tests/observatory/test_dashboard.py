"""The first page: each block for those who may see it, true, and at a fixed price."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.html import escape

from approvals.models import ActionNotice, PendingAction
from observatory.dashboard import dashboard_for
from telemetry import trail
from telemetry.models import (
    AlertChannel,
    AlertInstance,
    AlertRule,
    AlertSilence,
    Heartbeat,
    RefusalCount,
    RollupWatermark,
    Session,
    SpanExport,
)
from telemetry.recorder import SYSTEM
from telemetry.tasks import BEAT
from tests.journeys.people import signed_in
from tests.telemetry.metrics.spans import record, span
from tools.actions.switches import engage
from tools.models import KillSwitch

pytestmark = pytest.mark.django_db


def fresh(person: Any) -> Any:
    """The same person, whose permissions nobody has read yet."""
    return get_user_model().objects.get(pk=person.pk)


def status_change(world: Any, caller: Any, status: str = "vip") -> None:
    caller.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": status})


def test_waiting_when_asked_by_alice_is_for_bob(world: Any) -> None:
    status_change(world, world.caller(world.allowing()))
    now = timezone.now()
    assert dashboard_for(fresh(world.alice), now).waiting == []
    [line] = dashboard_for(fresh(world.bob), now).waiting or []
    assert line.text == "update_customer_status for billing-agent"
    assert "new_status: vip" in line.detail
    assert dashboard_for(fresh(world.charlie), now).waiting is None


def test_waiting_when_for_a_group_is_for_that_group(world: Any) -> None:
    policy = world.policy(
        "finance", {"tools": "*", "effect": "require_approval", "groups": ["auditors"], "name": "Finance agrees"}
    )
    status_change(world, world.caller(policy))
    now = timezone.now()
    assert dashboard_for(fresh(world.bob), now).waiting == []
    assert len(dashboard_for(fresh(world.person("fay", "auditors")), now).waiting or []) == 1


def test_unknown_when_a_run_was_cut_off_is_for_who_may_settle(world: Any) -> None:
    status_change(world, world.caller(world.allowing()))
    now = timezone.now()
    bob, fay = fresh(world.bob), fresh(world.person("fay", "auditors"))
    assert dashboard_for(bob, now).unknown == []
    PendingAction.objects.update(status="unknown")
    [line] = dashboard_for(bob, now).unknown or []
    assert line.text == "update_customer_status for billing-agent"
    assert dashboard_for(fresh(world.alice), now).unknown == []
    assert dashboard_for(fay, now).unknown is None


@pytest.mark.parametrize(("error", "urgent"), [("email: ConnectionRefusedError", True), ("", False)])
def test_health_when_nobody_could_be_told(world: Any, settings: Any, error: str, urgent: bool) -> None:
    settings.TELL_BY_EMAIL = True
    status_change(world, world.caller(world.allowing()))
    ActionNotice.objects.update(next_attempt_at=None, last_error=error)
    health = {line.text: line for line in dashboard_for(fresh(world.bob), timezone.now()).health}
    line = health.get("E-mail to those who decide")
    assert (line is not None and line.urgent and error in line.note) is urgent


def test_hour_when_calls_were_denied_says_why_and_where(world: Any) -> None:
    caller = world.caller(world.allowing("search_customer"))
    caller.call("search_customer", {"query": "a"})
    caller.call("search_customer", {})
    for _ in range(2):
        caller.call("send_message", {"channel": "#a", "message": "b"})
    hour = dashboard_for(fresh(world.bob), timezone.now()).hour
    assert hour
    assert (hour.calls, hour.denied, hour.held, hour.errors) == (4, 3, 0, 0)
    assert [(line.of, line.note) for line in hour.reasons] == [("unknown_tool", "2"), ("denied_schema", "1")]
    assert [(line.of, line.note) for line in hour.tools] == [("send_message", "2"), ("search_customer", "1")]
    record(span(timezone.now(), origin="sdk", service="crm"), span(timezone.now() - dt.timedelta(hours=2)))
    page = signed_in(world.bob).get("/admin/")
    assert page.content.decode().count(escape(hour.listed.partition("&start")[0])) >= 4
    assert len(signed_in(world.bob).get(hour.listed).context["cl"].result_list) == hour.calls
    later = dashboard_for(fresh(world.bob), timezone.now() + dt.timedelta(hours=2)).hour
    assert later
    assert later.calls == 0


@pytest.mark.parametrize(("age_s", "urgent"), [(None, True), (91, True), (15, False)])
def test_beat_when_silent_is_urgent(world: Any, age_s: int | None, urgent: bool) -> None:
    now = timezone.now()
    if age_s is not None:
        Heartbeat.objects.create(name=BEAT, at=now - dt.timedelta(seconds=age_s))
    health = {line.text: line for line in dashboard_for(fresh(world.bob), now).health}
    assert health["Beat and workers"].urgent is urgent


def test_health_when_trail_writes_failed_and_strangers_knocked(world: Any) -> None:
    now = timezone.now()
    Heartbeat.objects.create(name=trail.FAILURES, at=now, failures=3)
    for shard in (1, 2):
        RefusalCount.objects.create(minute=now, reason="unauthenticated", shard=shard, count=4)
    health = {line.text: line for line in dashboard_for(fresh(world.bob), now).health}
    assert health["Audit trail"].urgent
    assert health["Audit trail"].note.startswith("3 lines")
    assert health["Refused before authentication"].note == "8 in the last hour"


def test_soon_when_a_key_expires_and_a_draft_waits(world: Any) -> None:
    now = timezone.now()
    policy = world.allowing()
    world.allowing(name="as published")
    world.caller(policy, expires_at=now + dt.timedelta(days=8))
    soon = world.caller(policy, name="b", expires_at=now + dt.timedelta(days=6)).key
    world.add_rules(policy, {"tools": "x", "effect": "deny"})
    found = dashboard_for(fresh(world.bob), now)
    assert [line.of for line in found.keys or []] == [soon]
    assert [line.of for line in found.drafts or []] == [policy]


def test_frozen_when_a_switch_is_engaged(world: Any) -> None:
    engage(KillSwitch(scope="everything", reason="INC-7"), SYSTEM)
    [line] = dashboard_for(fresh(world.bob), timezone.now()).frozen or []
    assert line.text == "Everything"


def test_blocks_when_the_reader_may_see_nothing_are_not_there(world: Any, client: Any) -> None:
    found = dashboard_for(fresh(world.charlie), timezone.now())
    blocks = (found.waiting, found.frozen, found.hour, found.health, found.keys, found.drafts)
    assert blocks == (None, None, None, [], None, None)
    client.force_login(world.charlie)
    assert client.get("/admin/").status_code == 200


def test_first_page_when_there_is_much_costs_as_many_queries_as_for_little(
    world: Any, django_assert_max_num_queries: Any
) -> None:
    callers = [world.caller(world.allowing(name=f"policy {n}"), name=f"agent-{n}") for n in range(6)]
    for caller in callers:
        status_change(world, caller)
        status_change(world, caller, "gone")
        caller.call("nope")
    bob = fresh(world.bob)
    # Two of them read his permissions, one his groups, four compare every draft with what is in force, four watch, one
    # counts sessions.
    with django_assert_max_num_queries(21):
        found = dashboard_for(bob, timezone.now())
    assert len(found.waiting or []) == 10
    assert found.more_waiting


def session(name: str, begun: dt.datetime, status: str = "closed", **fields: Any) -> Session:
    ended = {} if status == "open" else {"ended_at": begun}
    return Session.objects.create(
        session_id=name,
        agent_id=1,
        agent="billing-agent",
        model="gpt-4o",
        rules_hash="0" * 64,
        max_steps=5,
        created_at=begun,
        status=status,
        **ended,
        **fields,
    )


def test_sessions_of_the_day_are_counted_and_each_count_leads_to_its_list(world: Any) -> None:
    now = timezone.now()
    today, before = now - dt.timedelta(hours=23), now - dt.timedelta(hours=25)
    session("runs", before, "open", total_violations=1)
    session("well", today)
    session("violated", today, total_violations=2)
    session("refused", today, "refused", total_violations=1)
    session("stopped", today, "stopped")
    for status in ("closed", "refused", "stopped"):
        session(f"old {status}".replace(" ", "_"), before, status, total_violations=1)
    found = dashboard_for(fresh(world.bob), now).sessions
    assert found
    counts = {"open": found.open, "violated": found.violated, "refused": found.refused, "stopped": found.stopped}
    assert counts == {"open": 1, "violated": 2, "refused": 1, "stopped": 1}
    bob = signed_in(world.bob)
    for name, count in counts.items():
        assert len(bob.get(found.pages[name]).context["cl"].result_list) == count, name
        assert escape(found.pages[name].partition("&")[0]) in bob.get("/admin/").content.decode()
    assert dashboard_for(fresh(world.charlie), now).sessions is None


def alert(name: str, severity: str, now: dt.datetime, state: str = "firing", **labels: str) -> AlertInstance:
    rule = AlertRule.objects.create(name=name, metric="error_rate", threshold=0.1, severity=severity)
    return AlertInstance.objects.create(
        rule=rule, labels=labels, dedupe_key=name, state=state, since=now, evaluated_at=now, value=0.25
    )


def test_alerts_when_they_fire_come_the_worst_first(world: Any) -> None:
    now = timezone.now()
    alert("Slow", "warning", now)
    alert("Broken", "critical", now - dt.timedelta(hours=2), tool_name="create_ticket")
    alert("Almost", "critical", now, state="pending")
    found = dashboard_for(fresh(world.bob), now)
    assert [line.text for line in found.firing or []] == ["Broken (tool_name=create_ticket)", "Slow"]
    assert found.firing
    assert found.firing[0].urgent
    assert found.firing[0].detail == "25 %, bound 10 %"
    assert dashboard_for(fresh(world.charlie), now).firing is None


def test_alerts_when_silenced_say_so(world: Any) -> None:
    now = timezone.now()
    row = alert("Broken", "critical", now)
    AlertSilence.objects.create(
        rule=row.rule, starts_at=now, ends_at=now + dt.timedelta(hours=1), why="of this test", created_by="b"
    )
    [line] = dashboard_for(fresh(world.bob), now).firing or []
    assert "silenced" in line.note
    assert not line.urgent


@pytest.mark.parametrize(("sent", "failed", "said"), [(None, 1, True), (2, 1, True), (1, 2, False), (1, None, False)])
def test_watch_when_a_channel_failed_last_says_so(world: Any, sent: int | None, failed: int | None, said: bool) -> None:
    now = timezone.now()
    times = [None if ago is None else now - dt.timedelta(hours=ago) for ago in (sent, failed)]
    AlertChannel.objects.create(
        name="on call", kind="email", last_sent_at=times[0], last_failed_at=times[1], last_error="refused"
    )
    lines = [line for line in dashboard_for(fresh(world.bob), now).health if line.text == "Alerts to on call"]
    assert bool(lines) is said
    assert all("refused" in line.note and "alertchannel" in line.page for line in lines)


@pytest.mark.parametrize(("minutes", "said"), [(4, False), (6, True)])
def test_watch_when_figures_stand_still_says_so(world: Any, minutes: int, said: bool) -> None:
    now = timezone.now()
    RollupWatermark.objects.create(at=now - dt.timedelta(minutes=minutes))
    assert ("Figures" in [line.text for line in dashboard_for(fresh(world.bob), now).health]) is said


@pytest.mark.parametrize(("endpoint", "said"), [("https://collector.example.com", True), ("", False)])
def test_watch_when_spans_can_not_be_sent_on_says_so(world: Any, settings: Any, endpoint: str, said: bool) -> None:
    settings.OTLP_ENDPOINT, now = endpoint, timezone.now()
    SpanExport.objects.create(name="otlp", recorded_to=now, last_failed_at=now, last_error="status 500")
    lines = [line for line in dashboard_for(fresh(world.bob), now).health if line.text == "Spans to the collector"]
    assert bool(lines) is said
    assert all("spanexport" in line.page for line in lines)


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("https://hc.example.com/x", "The watcher answered 404.", True),
        ("https://hc.example.com/x", "", False),
        ("", "old", False),
    ],
)
def test_watch_when_no_sign_of_life_is_given_says_why(
    world: Any, settings: Any, url: str, error: str, said: bool
) -> None:
    settings.HEARTBEAT_URL = url
    Heartbeat.objects.create(name="dead-man", at=timezone.now(), failures=1, error=error)
    lines = [line for line in dashboard_for(fresh(world.bob), timezone.now()).health if line.text == "Sign of life"]
    assert bool(lines) is said
    assert all(line.urgent and error in line.note for line in lines)
