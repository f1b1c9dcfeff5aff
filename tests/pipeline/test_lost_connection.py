"""The database's connection breaks in the middle of a call, for real: the backend is terminated."""

from dataclasses import replace

import psycopg
import pytest
from django.db import connection

from observatory.demo.models import Message
from telemetry.models import AuditEvent, Span
from tests.serving import database_url
from tools import registry

pytestmark = pytest.mark.django_db(transaction=True)


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
