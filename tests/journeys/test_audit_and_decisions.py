"""Reading what happened, and asking what would."""

import json

import pytest

from observatory.demo.models import Ticket
from telemetry import trail
from telemetry.models import AuditEvent, Heartbeat, Span
from tools.models import IdempotencyRecord
from tools.scopes import Scope

HOSTILE = "a\r\n\x1b[31m\u2028\u202e\x85{}"


def lines(answer):
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


@pytest.mark.django_db
def test_events_are_streamed_oldest_first_and_filtered(world):
    caller = world.caller(world.allowing())
    trace = caller.call("search_customer", {"query": "a"})["X-Trace-Id"]
    everything = lines(caller.get("/audit/events"))
    assert [e["id"] for e in everything] == sorted(e["id"] for e in everything)
    (event,) = lines(caller.get(f"/audit/events?trace_id={trace}"))
    assert (event["type"], event["actor"]["name"], event["policy_revision"]) == ("call.answered", "billing-agent", 1)
    half = everything[len(everything) // 2]["id"]
    assert [e["id"] for e in lines(caller.get(f"/audit/events?after={half}&limit=2"))] == [
        e["id"] for e in everything if e["id"] > half
    ][:2]


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["type", "actor", "subject", "subject_id", "trace_id", "from", "to"])
def test_a_filter_that_matches_nothing_gives_nothing(world, field):
    caller = world.caller(world.allowing())
    caller.get("/audit/events?to=5045-01-19T16:21:16-17:03")
    value = {"type": "key.revoked", "from": "2999-01-01T00:00:00Z", "to": "1999-01-01T00:00:00Z"}.get(field, "nothing")
    assert (
        lines(
            caller.get(
                "/audit/events",
            )
        )
        != []
    )
    assert lines(caller.get(f"/audit/events?{field}={value}")) == []


@pytest.mark.django_db(transaction=True)
def test_each_event_is_one_line_of_the_trail_whatever_it_holds(world, settings, tmp_path):
    path = tmp_path / "audit.jsonl"
    settings.AUDIT_TRAIL = str(path)
    caller = world.caller(world.allowing(), name="agent-with-trail")
    caller.call(HOSTILE.replace("/", ""), {})
    caller.call("send_message", {"channel": HOSTILE, "message": HOSTILE})
    raw = path.read_bytes()
    written = [json.loads(line) for line in raw.splitlines()]
    assert len(written) == len(raw.decode("ascii").split("\n")) - 1
    stored = AuditEvent.objects.order_by("id")
    assert [w["id"] for w in written] == [e.pk for e in stored if e.pk >= written[0]["id"]]
    assert {"call.denied", "call.intended", "call.settled"} <= {w["type"] for w in written}
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.django_db(transaction=True)
def test_a_trail_that_cannot_be_written_is_counted_and_the_event_stays(world, settings):
    settings.AUDIT_TRAIL = "/nowhere/at/all"
    caller = world.caller(world.allowing())
    answer = caller.call("search_customer", {"query": "a"})
    assert answer.status_code == 200
    assert AuditEvent.objects.filter(type="call.answered").count() == 1
    assert Heartbeat.objects.get(name=trail.FAILURES).failures >= 1


@pytest.mark.django_db
def test_an_explanation_has_no_effect(world):
    caller = world.caller(world.allowing(), rate="5/m")
    arguments = {"customer_id": world.acme.pk, "title": "Ticket"}
    for _ in range(10):
        answer = caller.post("/decisions", {"tool": "create_ticket", "args": arguments})
        assert (answer.status_code, answer.json()["verdict"]) == (200, "allow")
    assert (Ticket.objects.count(), Span.objects.count(), IdempotencyRecord.objects.count()) == (0, 0, 0)
    # Ten questions left the rate of five as it was.
    assert [caller.call("create_ticket", arguments).status_code for _ in range(6)] == [200] * 5 + [429]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("tool", "arguments", "verdict", "code", "stage"),
    [
        ("search_customer", {"query": "a"}, "allow", "allowed", None),
        ("search_customer", {"query": 1}, "deny", "denied_schema", "schema_guard"),
        ("search_customer", {"query": "x"}, "deny", "denied_policy", "policy"),
        ("update_customer_status", {"customer_id": 1, "new_status": "x"}, "hold", "approval_required", "risk_gate"),
        ("no_such_tool", {}, "deny", "unknown_tool", "resolve_tool"),
    ],
)
def test_an_explanation_says_what_a_call_then_meets(world, tool, arguments, verdict, code, stage):
    deny = {"tools": "search_customer", "effect": "deny", "conditions": [("args.query", "equals", "x")], "name": "No x"}
    caller = world.caller(world.policy("p", {"tools": "search_*\nupdate_*", "effect": "allow"}, deny))
    said = caller.post("/decisions", {"tool": tool, "args": arguments}).json()
    assert (said["verdict"], said["code"]) == (verdict, code)
    assert [s["stage"] for s in said["stages"] if s["verdict"] in ("deny", "hold")] == ([stage] if stage else [])
    met = caller.call(tool, arguments)
    assert met.json().get("code", "held" if met.json().get("requires_confirmation") else "allowed") in (code, "held")


@pytest.mark.django_db
def test_why_a_tool_is_invisible_is_told_to_operators_and_never_to_the_key(world):
    policy = world.allowing("search_customer")
    operators = world.caller(policy, name="operators-own", owner=world.alice)
    agents = world.caller(
        policy, name="agents-own", owner=world.charlie, scopes=[Scope.DECISIONS_READ, Scope.TOOLS_CALL]
    )
    question = {"tool": "create_ticket", "args": {}}
    told = operators.post("/decisions", question | {"agent": "agents-own"}).json()
    assert "No rule allows create_ticket" in json.dumps(told)
    untold = agents.post("/decisions", question)
    assert untold.json()["code"] == "unknown_tool"
    assert "No rule allows" not in untold.content.decode()
    assert "rules" not in untold.json()
    other = agents.post("/decisions", question | {"agent": "operators-own"})
    assert other.status_code == 404
