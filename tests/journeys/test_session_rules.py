"""Rules that know what a session did: what has come in, what was called, and what may go out after that."""

import pytest
from django.test import Client
from django.utils import timezone

from approvals.actions import decide
from approvals.models import PendingAction
from observatory.approved import run_ready
from observatory.demo.models import Message
from observatory.groups import OPERATORS, POLICY_EDITORS
from telemetry.models import Session
from telemetry.recorder import SYSTEM
from tests.journeys.test_sessions import opened, search, stepped
from tools.actions.drafts import add_ready_made
from tools.actions.policies import publish
from tools.models import Rule, Tool
from tools.policy.ready_made import READY_MADE

pytestmark = pytest.mark.django_db(transaction=True)
HELLO = {"channel": "support", "message": "hello"}


@pytest.fixture
def caller(world):
    """Under a policy with both ready-made rules."""
    policy = world.policy("p", {"tools": "search_customer\nsend_message\ncreate_ticket", "effect": "allow"})
    for one in READY_MADE:
        add_ready_made(policy, one, SYSTEM)
    publish(policy, SYSTEM)
    return world.caller(policy)


def send(caller, **members):
    return stepped(caller, tool="send_message", args=HELLO, **members)


def test_what_sends_outside_waits_once_private_data_and_untrusted_text_came_in(caller, world):
    opened(caller)
    assert send(caller)["decision"] == "ok"
    assert search(caller)["decision"] == "ok"
    assert Session.objects.get().labels == ["private_data", "untrusted_text"]
    held = send(caller)
    assert (held["decision"], held["rule"]) == ("held", READY_MADE[0].name)
    assert (
        stepped(caller, tool="create_ticket", args={"customer_id": world.acme.pk, "title": "Printer"})["decision"]
        == "ok"
    )
    assert Message.objects.count() == 1
    # Another session has read nothing.
    opened(caller, session_id="other")
    assert send(caller, session="other")["decision"] == "ok"
    decide(held["pending_action_id"], world.bob, approve=True, reason="", via="admin", now=timezone.now())
    run_ready()
    assert Message.objects.count() == 3


@pytest.mark.parametrize(
    ("declared", "decision"),
    [
        ({"brings_private_data": "no"}, "ok"),
        ({"brings_untrusted_text": "no"}, "ok"),
        ({"brings_private_data": "undeclared", "brings_untrusted_text": "undeclared"}, "held"),
        ({}, "held"),
    ],
)
def test_what_nobody_declared_counts_as_brought_in(caller, declared, decision):
    Tool.objects.filter(name="search_customer").update(**declared)
    opened(caller)
    search(caller)
    assert send(caller)["decision"] == decision


@pytest.mark.parametrize(("sends", "decision"), [("no", "ok"), ("yes", "held"), ("undeclared", "held")])
def test_what_nobody_declared_counts_as_sent_outside(caller, sends, decision):
    Tool.objects.filter(name="send_message").update(sends_outside=sends)
    opened(caller)
    search(caller)
    assert send(caller)["decision"] == decision


def test_outside_a_session_what_sends_outside_waits(caller):
    assert caller.call("search_customer", {"query": "acme"}).status_code == 200
    answer = caller.call("send_message", HELLO).json()
    assert answer["requires_confirmation"] is True
    assert PendingAction.objects.get().rule == READY_MADE[1].name


def test_what_was_denied_or_held_or_dry_has_brought_nothing_in(caller, world):
    opened(caller, policy={"dry_run": True})
    search(caller)
    assert Session.objects.get().labels == []
    opened(caller, session_id="denied", policy={"blocklist": ["search_customer"]})
    search(caller, session="denied")
    assert Session.objects.get(session_id="denied").labels == []


def test_a_rule_may_ask_what_was_called_before(world):
    first = "tool.name == 'create_ticket' && !('search_customer' in session.tools_called)"
    policy = world.policy(
        "p",
        {"tools": "*", "effect": "allow"},
        {"name": "Look first", "tools": "create_ticket", "effect": "deny", "expression": first},
    )
    caller = world.caller(policy)
    opened(caller)
    args = {"customer_id": world.acme.pk, "title": "Printer"}
    assert stepped(caller, tool="create_ticket", args=args)["rule"] == "Look first"
    search(caller)
    assert stepped(caller, tool="create_ticket", args=args)["decision"] == "ok"


def test_a_ready_made_rule_lets_nothing_through_that_was_denied(world):
    policy = world.policy("p", {"tools": "search_customer", "effect": "allow"})
    caller = world.caller(policy)
    for one in READY_MADE:
        add_ready_made(policy, one, SYSTEM)
    publish(policy, SYSTEM)
    opened(caller)
    search(caller)
    assert send(caller)["reason"] == "unknown_tool"
    assert not PendingAction.objects.exists()


def test_a_policy_editor_adds_one_to_the_draft_and_it_is_not_in_force_yet(world):
    policy = world.policy("p", {"tools": "send_message\nsearch_customer", "effect": "allow"})
    caller = world.caller(policy)
    path = f"/admin/tools/policy/{policy.pk}/ready-made/"
    editor, operator = Client(), Client()
    editor.force_login(world.person("edda", POLICY_EDITORS))
    operator.force_login(world.person("olaf", OPERATORS))
    assert operator.get(path).status_code == 403
    assert operator.post(path, {"rule": READY_MADE[0].key}).status_code == 403
    page = editor.get(path).content.decode()
    assert READY_MADE[0].name in page
    assert "<code>send_message</code>" in page
    assert editor.post(path, {"rule": "another"}).status_code == 404
    assert Rule.objects.filter(policy=policy).count() == 1
    assert editor.post(path, {"rule": READY_MADE[0].key}).status_code == 302
    assert "in the draft" in editor.get(path).content.decode()
    opened(caller)
    search(caller)
    assert send(caller)["decision"] == "ok"
    publish(policy, SYSTEM)
    assert send(caller)["decision"] == "held"
