"""What a policy says is what a call meets, with the rule and the revision on record."""

import pytest

from observatory.demo.models import Ticket
from telemetry.models import AuditEvent, Span
from telemetry.recorder import SYSTEM
from tools.actions.policies import publish, roll_back
from tools.actions.switches import engage, release
from tools.models import KillSwitch, Tool

pytestmark = pytest.mark.django_db
ALL = {"tools": "*", "effect": "allow", "name": "everything"}


def rule(effect, *conditions, tools="create_ticket", **more):
    return {"tools": tools, "effect": effect, "conditions": conditions, "name": f"the {effect} rule"} | more


CASES = [
    # rules, arguments, status, code or body member
    ([ALL], {}, 200, "ticket"),
    ([], {}, 404, "unknown_tool"),
    ([rule("allow", tools="search_*")], {}, 404, "unknown_tool"),
    ([ALL, rule("deny")], {}, 404, "unknown_tool"),
    ([ALL, rule("deny", ("args.priority", "equals", "high"))], {"priority": "high"}, 403, "denied_policy"),
    ([ALL, rule("deny", ("args.priority", "equals", "high"))], {"priority": "low"}, 200, "ticket"),
    ([rule("deny", ("args.priority", "equals", "high")), ALL], {"priority": "high"}, 403, "denied_policy"),
    (
        [ALL, rule("require_approval", ("args.priority", "equals", "high"))],
        {"priority": "high"},
        200,
        "pending_action_id",
    ),
    (
        [ALL, rule("require_approval", expression="args.priority == 'high'")],
        {"priority": "high"},
        200,
        "pending_action_id",
    ),
    ([ALL, rule("require_approval", expression="args.priority == 'high'")], {"priority": "low"}, 200, "ticket"),
    ([ALL, rule("require_two_phase")], {}, 403, "two_phase_required"),
    ([ALL, rule("require_two_phase"), rule("require_approval")], {}, 403, "two_phase_required"),
    ([ALL, rule("dry_run")], {}, 200, "dry_run"),
    # an error is a hold, never an allow
    ([rule("allow", expression="args.missing > 5")], {}, 200, "pending_action_id"),
    ([ALL, rule("deny", ("args.missing", "greater_than", "5"))], {}, 403, "denied_policy"),
    # a modifier by itself allows nothing
    ([rule("dry_run")], {}, 404, "unknown_tool"),
]


@pytest.mark.parametrize(("rules", "arguments", "status", "expected"), CASES)
def test_a_call_meets_its_policy(world, rules, arguments, status, expected):
    caller = world.caller(world.policy("p", *[dict(r) for r in rules]))
    answer = caller.call("create_ticket", {"customer_id": world.acme.pk, "title": "Ticket"} | arguments)
    body = answer.json()
    assert answer.status_code == status
    assert expected in body or body.get("code") == expected
    assert Ticket.objects.count() == (1 if expected == "ticket" else 0)


def test_the_record_names_rule_and_revision_of_the_day(world):
    policy = world.policy("p", dict(ALL), rule("deny", ("args.priority", "equals", "high"), name="No panic"))
    caller = world.caller(policy)
    answer = caller.call("create_ticket", {"customer_id": world.acme.pk, "title": "Ticket", "priority": "high"})
    span = Span.objects.get(trace_id=answer.json()["trace_id"])
    event = AuditEvent.objects.get(type="call.denied", trace_id=span.trace_id)
    for record in (span, event):
        assert (record.policy, record.policy_revision, record.rule) == ("p", 1, "No panic")
        assert (record.decision, record.reason) == ("denied_policy", "denied_policy")


def test_a_draft_changes_nothing_until_it_is_published_and_a_roll_back_brings_it_back(world):
    policy = world.allowing("search_customer")
    caller = world.caller(policy)
    first = policy.revisions.get()

    def status():
        return caller.call("search_customer", {"query": "x"}).status_code

    assert status() == 200
    world.add_rules(policy, rule("deny", ("args.query", "equals", "x"), tools="search_customer"))
    assert status() == 200
    publish(policy, SYSTEM)
    assert status() == 403
    third = roll_back(policy, first, SYSTEM)
    assert status() == 200
    assert (third.number, policy.rules.count()) == (3, 1)


def test_no_network_denies_what_does_not_declare_that_it_stays_inside(world):
    caller = world.caller(world.allowing(no_network=True))
    assert caller.call("search_customer", {"query": "a"}).status_code == 200
    for network in ("yes", "undeclared"):
        Tool.objects.filter(name="search_customer").update(network=network)
        answer = caller.call("search_customer", {"query": "a"})
        assert (answer.status_code, answer.json()["code"]) == (403, "no_network")


def test_dry_run_runs_nothing_and_says_what_would_have_happened(world):
    caller = world.caller(world.allowing(dry_run=True))
    arguments = {"customer_id": world.acme.pk, "title": "Ticket"}
    body = caller.call("create_ticket", arguments, Idempotency_Key="k").json()
    assert body == {"dry_run": True, "would": {"call": "create_ticket", "arguments": arguments}}
    assert Ticket.objects.count() == 0
    assert Span.objects.get(tool_name="create_ticket").decision == "dry_run"


def test_redaction_masks_the_output_that_leaves(world):
    policy = world.policy("p", dict(ALL), rule("redact", tools="search_customer", redact_paths="results.*.status"))
    found = world.caller(policy).call("search_customer", {"query": "acme"}).json()["results"]
    assert found == [{"id": world.acme.pk, "name": "ACME AB", "status": "[redacted]"}]


@pytest.mark.parametrize("scope", ["everything", "agent", "tool"])
def test_a_kill_switch_freezes_until_it_is_released(world, scope):
    from django.utils import timezone

    policy = world.allowing()
    caller, other = world.caller(policy), world.caller(policy, name="other-agent")
    target = {"agent": caller.key.agent} if scope == "agent" else {}
    target |= {"tool": Tool.objects.get(name="search_customer")} if scope == "tool" else {}

    def codes():
        calls = [(caller, "search_customer", {"query": "a"}), (caller, "get_incident_impact", {"incident_id": "x"})]
        calls.append((other, "search_customer", {"query": "a"}))
        return [c.call(tool, arguments).status_code for c, tool, arguments in calls]

    assert codes() == [200, 200, 200]
    switch = engage(KillSwitch(scope=scope, reason="INC-7", **target), SYSTEM)
    expected = {"everything": [423, 423, 423], "agent": [423, 423, 200], "tool": [423, 200, 423]}
    assert codes() == expected[scope]
    assert caller.call("search_customer", {"query": "a"}).json()["code"] == "frozen"
    release(switch, SYSTEM, timezone.now())
    assert codes() == [200, 200, 200]


def test_discovery_shows_only_what_the_key_may_see_and_says_what_a_call_will_meet(world):
    policy = world.policy(
        "p",
        {"tools": "search_customer\nupdate_customer_status\nsend_message", "effect": "allow"},
        rule("dry_run", tools="send_message"),
    )
    caller = world.caller(policy)
    answer = caller.get("/mcp/tools")
    tools = {tool["name"]: tool for tool in answer.json()["tools"]}
    assert {name: tool["gate"] for name, tool in tools.items()} == {
        "search_customer": "none",
        "update_customer_status": "approval",
        "send_message": "dry_run",
    }
    members = {"name", "method", "path", "description", "risk", "supports_idempotency_key", "input_schema"}
    assert set(tools["search_customer"]) >= members | {"output_schema", "annotations", "version", "gate"}
    assert caller.get("/mcp/tools", If_None_Match=answer["ETag"]).status_code == 304
    publish(policy, SYSTEM)
    assert caller.get("/mcp/tools", If_None_Match=answer["ETag"]).status_code == 304
    world.add_rules(policy, {"tools": "create_ticket", "effect": "allow"})
    publish(policy, SYSTEM)
    changed = caller.get("/mcp/tools", If_None_Match=answer["ETag"])
    assert changed.status_code == 200
    assert changed["ETag"] != answer["ETag"]


def test_an_invisible_tool_is_answered_like_one_that_is_not_there(world):
    caller = world.caller(world.allowing("search_customer"))
    hidden, missing = caller.call("create_ticket", {}), caller.call("no_such_tools", {})

    def alike(answer, name):
        body = answer.json() | {"trace_id": ""}
        return answer.status_code, {k: str(v).replace(name, "NAME") for k, v in body.items()}

    assert alike(hidden, "create_ticket") == alike(missing, "no_such_tools")


def test_a_withdrawn_or_disabled_tool_is_gone(world):
    caller = world.caller(world.allowing())
    assert caller.call("search_customer", {"query": "a"}).status_code == 200
    Tool.objects.filter(name="search_customer").update(enabled=False)
    assert caller.call("search_customer", {"query": "a"}).json()["code"] == "unknown_tool"
