"""The database's connection breaks in the middle of a call, for real: the backend is terminated."""

from dataclasses import replace

import psycopg
import pytest
from django.db import connection

from approvals.models import PendingAction
from observatory.demo.models import Message
from telemetry.models import AuditEvent, Span
from tests.journeys.proposals import committed, proposed
from tests.serving import database_url
from tools import registry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def terminate_own_backend():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])


@pytest.mark.parametrize("when", ["before the effect", "after the effect"])
def test_the_outcome_is_recorded_on_a_fresh_connection(world, monkeypatch, when):
    caller = world.caller(world.allowing())
    tool = registry.find("send_message")

    def broken(channel, message):
        if when == "before the effect":
            terminate_own_backend()
        sent = tool.function(channel, message)
        terminate_own_backend()
        return sent

    monkeypatch.setitem(registry._registered, "send_message", replace(tool, function=broken))
    answer = caller.call("send_message", {"channel": "#s", "message": "m"}, Idempotency_Key="k")

    if when == "before the effect":
        # The tool itself lost its connection: it failed, and that is on record.
        assert (answer.status_code, answer.json()["code"]) == (502, "tool_failed")
    else:
        assert answer.status_code == 200
        assert Message.objects.count() == 1
    trace = answer["X-Trace-Id"]
    assert AuditEvent.objects.filter(trace_id=trace, type="call.settled").count() == 1
    assert Span.objects.filter(trace_id=trace).count() == 1
    # Whatever happened, the key's second call runs nothing.
    caller.call("send_message", {"channel": "#s", "message": "m"}, Idempotency_Key="k")
    assert Message.objects.count() <= 1


@pytest.fixture
def cut_off():
    """Cuts this process off from its database, for real, until the test is over or `back()` is called."""
    name, maintenance = (
        connection.settings_dict["NAME"],
        database_url().replace(f"/{connection.settings_dict['NAME']}", "/postgres"),
    )

    def allow(yes):
        with psycopg.connect(maintenance, autocommit=True) as other:
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {yes}')
            if not yes:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    yield allow
    allow(True)
    connection.close()


@pytest.mark.parametrize("door", ["commit", "confirm"])
def test_a_database_that_stays_away_after_the_effect_does_not_turn_it_into_nothing_ran(
    world, monkeypatch, cut_off, door
):
    tool = registry.find("send_message")
    sent = []

    def last_words(channel, message):
        sent.append(message)
        cut_off(False)
        return tool.function.__annotations__["return"](sent=True, channel=channel)

    monkeypatch.setitem(registry._registered, "send_message", replace(tool, function=last_words))
    arguments = {"channel": "#s", "message": "m"}
    if door == "commit":
        caller = world.caller(world.two_phase("send_message"))
        body = proposed(caller, arguments, tool="send_message").json()
        answer = committed(caller, body)
    else:
        policy = world.policy("held", {"tools": "send_message", "effect": "require_approval"})
        asker, bob = world.caller(policy), world.caller(policy, name="bobs", owner=world.bob)
        body = asker.call("send_message", arguments).json()
        answer = bob.post(f"/confirm/{body['pending_action_id']}", {"approve": True})
    assert (answer.status_code, answer.json()["code"]) == (502, "outcome_unrecorded")
    assert sent == ["m"]
    cut_off(True)
    connection.close()
    assert PendingAction.objects.get().status == "executing"


def test_a_commit_whose_answer_was_lost_is_not_recorded_twice(world, monkeypatch):
    from django.db import OperationalError

    from observatory import records

    caller = world.caller(world.allowing())
    settle, tries = records._settle, []

    def lose_the_answer(*args):
        tries.append(settle(*args))
        raise OperationalError("the connection broke after the commit")

    monkeypatch.setattr(records, "_settle", lose_the_answer)
    answer = caller.call("send_message", {"channel": "#s", "message": "m"})
    assert (answer.status_code, answer.json()) == (200, {"sent": True, "channel": "#s"})
    assert len(tries) == 1
    assert AuditEvent.objects.filter(type="call.settled").count() == 1


def test_a_credential_that_cannot_be_opened_sends_nothing(world):
    from telemetry.recorder import SYSTEM
    from tools.actions.tools import save_http_tool
    from tools.models import HttpEndpoint, Tool
    from tools.registry import Declaration

    tool = Tool(name="orders.note", executor="http", network="yes")
    endpoint = HttpEndpoint(method="POST", url="https://orders.example.com/x", secret_header="Authorization")
    declaration = Declaration("orders.note", "Note", "Notes.", {"type": "object"}, None, {}, {})
    save_http_tool(tool, declaration, endpoint, SYSTEM, secret="s3cret")
    HttpEndpoint.objects.update(sealed_secret=b"sealed by another master secret")
    answer = world.caller(world.allowing("orders.*")).call("orders.note", {})
    assert (answer.status_code, answer.json()["code"]) == (502, "tool_unreachable")
    assert AuditEvent.objects.get(type="call.settled").facts["ran"] == "no"
