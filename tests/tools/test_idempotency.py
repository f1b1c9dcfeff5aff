"""Claims at their edges: taken over, settled late, released by who no longer holds them."""

import datetime as dt

import pytest
from django.utils import timezone

from telemetry.recorder import SYSTEM
from tools import idempotency
from tools.actions.policies import publish
from tools.models import IdempotencyRecord
from tools.tasks import sweep_idempotency

pytestmark = pytest.mark.django_db
ALL = {"tools": "*", "effect": "allow"}


@pytest.fixture
def caller(world):
    return world.caller(world.policy("p", dict(ALL)))


def ticket(world, caller, **headers):
    return caller.call("create_ticket", {"customer_id": world.acme.pk, "title": "A ticket"}, **headers)


def running(world, caller):
    """A record as a run leaves it that is cut off."""
    ticket(world, caller, Idempotency_Key="k")
    IdempotencyRecord.objects.update(
        status="running", result=None, lease_until=timezone.now() + dt.timedelta(minutes=1)
    )
    return IdempotencyRecord.objects.get()


@pytest.mark.parametrize("key", ["", "with space", "é", "x" * 256])
def test_a_key_that_is_none_is_refused_and_nothing_runs(world, caller, key):
    assert ticket(world, caller, Idempotency_Key="fine").status_code == 200
    refused = ticket(world, caller, Idempotency_Key=key)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_parameter")
    assert world.acme.tickets.count() == 1


def test_while_it_runs_a_repeat_is_told_when_to_ask_again(world, caller):
    running(world, caller)
    answer = ticket(world, caller, Idempotency_Key="k")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_flight")
    assert int(answer["Retry-After"]) >= 1


def test_a_run_past_its_lease_is_unknown_and_swept_as_such(world, caller):
    record = running(world, caller)
    IdempotencyRecord.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    assert ticket(world, caller, Idempotency_Key="k").json()["code"] == "outcome_unknown"
    assert sweep_idempotency() == (1, 0)
    record.refresh_from_db()
    assert record.status == "unknown"
    assert ticket(world, caller, Idempotency_Key="k").json()["code"] == "outcome_unknown"
    # The run comes back after all: its own claim may still be settled.
    answer = idempotency.store_answer({"late": True}, "", {}, timezone.now())
    assert idempotency.settle(idempotency.Claim(record.pk, record.fence), "allowed", answer, timezone.now())


def test_an_old_claim_settles_and_releases_nothing_that_was_taken_over(world, caller):
    old = running(world, caller)
    stale = idempotency.Claim(old.pk, old.fence)
    past = timezone.now() - dt.timedelta(days=2)
    IdempotencyRecord.objects.update(created_at=past, lease_until=past, expires_at=past)
    assert ticket(world, caller, Idempotency_Key="k").json()["idempotent_replay"] is False
    record = IdempotencyRecord.objects.get()
    assert record.fence == old.fence + 1
    IdempotencyRecord.objects.update(status="running")
    answer = idempotency.store_answer({}, "", {}, timezone.now())
    assert not idempotency.settle(stale, "allowed", answer, timezone.now())
    assert not idempotency.release(stale)
    assert IdempotencyRecord.objects.get().fence == record.fence


def test_old_records_are_swept_and_young_ones_stay(world, caller):
    ticket(world, caller, Idempotency_Key="old")
    IdempotencyRecord.objects.update(
        created_at=timezone.now() - dt.timedelta(days=2), expires_at=timezone.now() - dt.timedelta(days=1)
    )
    ticket(world, caller, Idempotency_Key="young")
    assert sweep_idempotency() == (0, 1)
    assert IdempotencyRecord.objects.get().key == "young"


def test_a_rule_that_came_since_masks_the_replay(world, caller):
    first = ticket(world, caller, Idempotency_Key="k").json()["ticket"]
    assert first["title"] == "A ticket"
    world.add_rules(caller.key.policy, {"tools": "create_ticket", "effect": "redact", "redact_paths": "ticket.title"})
    publish(caller.key.policy, SYSTEM)
    replay = ticket(world, caller, Idempotency_Key="k").json()
    assert (replay["ticket"]["title"], replay["idempotent_replay"]) == ("[redacted]", True)


def test_a_tool_that_requires_a_key_refuses_a_call_without_and_explains_the_rest(world, caller):
    from tools.models import Tool

    Tool.objects.filter(name="create_ticket").update(requires_idempotency_key=True)
    assert ticket(world, caller).json()["code"] == "idempotency_key_missing"
    assert ticket(world, caller, Idempotency_Key="k").status_code == 200
    question = {"tool": "create_ticket", "args": {"customer_id": world.acme.pk, "title": "A ticket"}}
    assert caller.post("/decisions", question).json()["verdict"] == "allow"


def test_keys_of_two_agents_or_two_tools_are_two_keys(world, caller):
    other = world.caller(caller.key.policy, name="other-agent")
    assert ticket(world, caller, Idempotency_Key="k").json()["idempotent_replay"] is False
    assert ticket(world, other, Idempotency_Key="k").json()["idempotent_replay"] is False
    sent = caller.call("send_message", {"channel": "#s", "message": "m"}, Idempotency_Key="k")
    assert sent.status_code == 200
    assert "Idempotency-Replayed" not in sent.headers
    again = caller.call("send_message", {"channel": "#s", "message": "m"}, Idempotency_Key="k")
    assert again["Idempotency-Replayed"] == "true"
