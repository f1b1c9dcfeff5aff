"""Whatever breaks before a tool runs, the call is denied, nothing ran, and the denial is on record."""

import pytest
from django.db import OperationalError

from observatory import pipeline
from observatory.demo.models import Ticket
from telemetry import recorder
from telemetry.models import AuditEvent, Span

pytestmark = pytest.mark.django_db
TICKET = {"title": "A ticket"}


class Broken:
    """A stage that stands in another's place and breaks."""

    def __init__(self, name, error):
        self.name, self.error = name, error

    def check(self, call):
        raise self.error


@pytest.mark.parametrize("place", range(len(pipeline.STAGES)), ids=[s.name for s in pipeline.STAGES])
def test_a_stage_that_raises_denies(world, monkeypatch, place):
    caller = world.caller(world.allowing())
    arguments = TICKET | {"customer_id": world.acme.pk}
    assert caller.call("create_ticket", arguments).status_code == 200

    stages = list(pipeline.STAGES)
    stages[place] = Broken(stages[place].name, ValueError("boom with a s3cret"))
    monkeypatch.setattr(pipeline, "STAGES", tuple(stages))
    answer = caller.call("create_ticket", arguments)

    assert (answer.status_code, answer.json()["code"]) == (503, "part_unavailable")
    assert "s3cret" not in answer.content.decode()
    assert Ticket.objects.count() == 1
    assert Span.objects.get(reason="part_unavailable").stage == stages[place].name


def test_the_rate_store_down_denies(world, settings):
    caller = world.caller(world.allowing())
    arguments = TICKET | {"customer_id": world.acme.pk}
    assert caller.call("create_ticket", arguments).status_code == 200

    down = settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": down}
    answer = caller.call("create_ticket", arguments)

    assert (answer.status_code, answer.json()["code"]) == (503, "rate_store_unavailable")
    assert Ticket.objects.count() == 1


@pytest.mark.parametrize("what", ["key:", "rule:"])
def test_one_rate_that_cannot_be_counted_denies(world, monkeypatch, what):
    """The throttle before the door counts elsewhere: here only the stages' own store is down."""
    from tools import rates

    policy = world.policy("p", {"tools": "*", "effect": "allow"}, {"tools": "*", "effect": "rate", "rate": "100/m"})
    caller = world.caller(policy)
    arguments = TICKET | {"customer_id": world.acme.pk}
    assert caller.call("create_ticket", arguments).status_code == 200
    ask = rates._ask

    def refuse(counted, rate, *, increment):
        if what in counted and (what != "key:" or ":rule:" not in counted):
            raise rates.RateStoreUnavailableError("down")
        return ask(counted, rate, increment=increment)

    monkeypatch.setattr(rates, "_ask", refuse)
    answer = caller.call("create_ticket", arguments)
    assert (answer.status_code, answer.json()["code"]) == (503, "rate_store_unavailable")
    assert Ticket.objects.count() == 1


def full_for(model):
    """The disk has no room for rows of this model."""
    kept = recorder.insert

    def insert(row):
        if isinstance(row, model):
            raise OperationalError("disk full")
        kept(row)

    return insert


def test_no_record_no_run(world, monkeypatch):
    """The intent can't be written, so the tool does not run."""
    caller = world.caller(world.allowing())
    arguments = TICKET | {"customer_id": world.acme.pk}
    assert caller.call("create_ticket", arguments).status_code == 200

    monkeypatch.setattr(recorder, "insert", full_for(AuditEvent))
    answer = caller.call("create_ticket", arguments)

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert Ticket.objects.count() == 1


def test_an_outcome_that_cannot_be_recorded_says_so_and_does_not_deny(world, monkeypatch):
    """After the effect nothing denies: the answer says that it ran and was not recorded."""
    caller = world.caller(world.allowing())
    kept = recorder.insert
    monkeypatch.setattr(recorder, "insert", full_for(Span))
    answer = caller.call("create_ticket", TICKET | {"customer_id": world.acme.pk}, Idempotency_Key="k")
    monkeypatch.setattr(recorder, "insert", kept)

    assert (answer.status_code, answer.json()["code"]) == (502, "outcome_unrecorded")
    assert Ticket.objects.count() == 1
    assert AuditEvent.objects.filter(type="call.intended").count() == 1
    # The key is still claimed: a repeat does not run a second time.
    repeat = caller.call("create_ticket", TICKET | {"customer_id": world.acme.pk}, Idempotency_Key="k")
    assert repeat.json()["code"] == "idempotency_in_flight"
    assert Ticket.objects.count() == 1
