"""What tools and approvals count for alerts: how things stand now, by tool, agent and server."""

import pytest
from django.utils import timezone

from telemetry.metrics.definitions import METRICS
from telemetry.metrics.gauges import read_gauge
from telemetry.recorder import SYSTEM
from tools.actions.switches import engage
from tools.models import KillSwitch, Upstream, UpstreamHealth

pytestmark = pytest.mark.django_db


def seen(gauge):
    return [(reading.value, dict(reading.labels)) for reading in read_gauge(gauge)]


def test_what_waits_for_a_person_is_counted_by_tool_and_agent(world):
    caller = world.caller(world.allowing())
    assert seen("pending_actions_waiting") == []
    for status in ("vip", "gone"):
        caller.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": status})
    labels = {"tool_name": "update_customer_status", "agent": caller.key.agent.name}
    assert seen("pending_actions_waiting") == [(2, labels)]
    assert seen("unknown_outcomes") == []


def test_a_server_that_does_not_answer_is_counted_while_it_is_switched_on():
    now = timezone.now()
    upstream = Upstream.objects.create(name="crm", url="https://crm.example.com/mcp")
    health = UpstreamHealth.objects.create(upstream=upstream, is_up=False, checked_at=now)
    assert seen("upstreams_down") == [(1, {"service": "crm"})]
    Upstream.objects.update(enabled=False)
    assert seen("upstreams_down") == []
    Upstream.objects.update(enabled=True)
    UpstreamHealth.objects.filter(pk=health.pk).update(is_up=True)
    assert seen("upstreams_down") == []


def test_what_is_frozen_is_counted(world):
    agent = world.caller(world.allowing()).key.agent
    engage(KillSwitch(scope="agent", agent=agent, reason="of this test"), SYSTEM)
    assert seen("frozen") == [(1, {"agent": agent.name, "tool_name": ""})]


def test_gauges_are_metrics_that_rules_can_watch():
    assert {"pending_actions_waiting", "unknown_outcomes", "upstream_tools_quarantined", "upstreams_down"} <= set(
        METRICS
    )
