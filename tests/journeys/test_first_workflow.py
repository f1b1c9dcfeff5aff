"""The seed's workflow at the public door: find, ticket, status change held and confirmed, message; then a replay."""

import pytest

from telemetry.models import AuditEvent, Span

pytestmark = pytest.mark.django_db


def test_the_workflow_runs_and_its_repeat_replays_the_ticket(world):
    caller = world.caller(world.allowing(self_confirm=True))

    found = caller.call("search_customer", {"query": "acme"}).json()["results"]
    assert found == [{"id": world.acme.pk, "name": "ACME AB", "status": "active"}]

    asked = {"customer_id": world.acme.pk, "title": "Late invoice"}
    first = caller.call("create_ticket", asked, Idempotency_Key="k1")
    again = caller.call("create_ticket", asked, Idempotency_Key="k1")
    assert first.json()["idempotent_replay"] is False
    assert again.json() == first.json() | {"idempotent_replay": True}
    assert again["Idempotency-Replayed"] == "true"
    assert world.acme.tickets.count() == 1

    held = caller.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": "vip"}).json()
    assert held["requires_confirmation"] is True
    assert held["customer"] is None
    world.acme.refresh_from_db()
    assert world.acme.status == "active"

    confirmed = caller.post(f"/confirm/{held['pending_action_id']}", {"approve": True})
    assert confirmed.json() == {
        "ok": True,
        "status": "confirmed",
        "customer": {"id": world.acme.pk, "name": "ACME AB", "status": "vip"},
    }
    world.acme.refresh_from_db()
    assert world.acme.status == "vip"

    sent = caller.call("send_message", {"channel": "#support", "message": "done"})
    assert sent.json() == {"sent": True, "channel": "#support"}
    assert sent["X-Trace-Id"] == Span.objects.get(tool_name="send_message").trace_id

    types = list(AuditEvent.objects.order_by("id").filter(type__startswith="call.").values_list("type", flat=True))
    assert types == [
        "call.answered",
        "call.intended",
        "call.settled",
        "call.replayed",
        "call.held",
        "call.intended",
        "call.settled",
        "call.intended",
        "call.settled",
    ]
