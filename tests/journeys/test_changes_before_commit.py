"""What happened between the two phases: found at the commit, or swept before; nothing runs, and the reason is said."""

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from approvals import actions
from approvals.models import Nonce, PendingAction
from approvals.tasks import sweep_nonces
from observatory.demo.models import Ticket
from telemetry.recorder import SYSTEM
from tests.journeys.proposals import committed, proposed, refused, ticket
from tools.actions.agents import revoke_key
from tools.actions.policies import publish
from tools.actions.switches import engage
from tools.models import AgentKey, KillSwitch, Tool
from tools.scopes import Scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(world):
    return world.caller(world.two_phase())


@pytest.fixture
def proposal(world, caller):
    return proposed(caller, ticket(world)).json()


CHANGES = {
    "policy_changed": (409, lambda caller: publish(caller.key.policy, SYSTEM)),
    "frozen": (423, lambda caller: engage(KillSwitch(scope="everything", reason="INC-7"), SYSTEM)),
    "tool_changed": (409, lambda caller: Tool.objects.filter(name="create_ticket").update(enabled=False)),
    "scope_missing": (403, lambda caller: _changed(caller, scopes=[Scope.AUDIT_READ])),
    "key_revoked": (409, lambda caller: revoke_key(caller.key, SYSTEM, timezone.now())),
}


def _changed(caller, **fields):
    AgentKey.objects.filter(pk=caller.key.pk).update(**fields)


@pytest.mark.parametrize("code", CHANGES)
def test_what_changed_since_revokes_the_proposal_and_nothing_runs(world, caller, proposal, code):
    status, change = CHANGES[code]
    second_key = world.caller(caller.key.policy)
    change(caller)
    refused(committed(second_key, proposal), code, status)
    action = PendingAction.objects.get(pk=proposal["proposal_id"])
    assert (action.status, action.reason) == ("revoked", code)
    refused(committed(second_key, proposal), code, status)
    assert (Ticket.objects.count(), Nonce.objects.count()) == (0, 0)


@pytest.mark.parametrize("code", CHANGES)
def test_the_sweep_revokes_what_a_commit_would(world, caller, proposal, code):
    untouched = proposed(world.caller(world.two_phase(name="other"), name="other"), ticket(world)).json()
    if code in ("frozen", "tool_changed"):
        PendingAction.objects.filter(pk=untouched["proposal_id"]).update(status="rejected")
    CHANGES[code][1](caller)
    assert actions.revoke_what_changed(timezone.now()) == 1
    assert actions.revoke_what_changed(timezone.now()) == 0
    assert PendingAction.objects.get(pk=proposal["proposal_id"]).reason == code


def test_a_key_under_another_policy_commits_nothing_that_it_proposed_under_the_old_one(world, caller, proposal):
    _changed(caller, policy=world.two_phase(name="new"))
    refused(committed(caller, proposal), "policy_changed", 409)
    assert Ticket.objects.count() == 0


ASKED_NOW = [{"requires_approval": True}, {"risk": "high"}]


@pytest.mark.parametrize("fields", ASKED_NOW)
def test_what_the_tool_came_to_ask_since_must_have_been_asked(world, caller, proposal, settings, fields):
    settings.DEMO = False
    Tool.objects.filter(name="create_ticket").update(**fields)
    refused(committed(caller, proposal), "tool_changed", 409)
    assert Ticket.objects.count() == 0


def test_a_rule_that_makes_a_dry_run_of_the_commit_is_told_as_such_each_time(world):
    """By the time of the commit the rule has come to apply."""
    policy = world.two_phase(name="hours")
    proposing = timezone.now().replace(hour=11, minute=59, second=0)
    world.add_rules(policy, {"tools": "*", "effect": "dry_run", "expression": "time.hour >= 12"})
    publish(policy, SYSTEM)
    caller = world.caller(policy, name="hours")
    with time_machine.travel(proposing, tick=False):
        body = proposed(caller, ticket(world)).json()
    PendingAction.objects.update(expires_at=timezone.now() + dt.timedelta(days=1))
    with time_machine.travel(proposing + dt.timedelta(minutes=2), tick=False):
        first = committed(caller, body, Idempotency_Key="k").json()
        again = committed(caller, body, Idempotency_Key="k").json()
    assert first["dry_run"] is again["dry_run"] is True
    assert first["would"] == again["would"]
    assert Ticket.objects.count() == 0


def test_a_tool_that_came_to_need_two_phases_still_commits_what_was_proposed(world, caller, proposal):
    Tool.objects.filter(name="create_ticket").update(requires_two_phase=True)
    assert committed(caller, proposal).status_code == 200


def test_the_database_decides_when_a_proposal_is_over(world, caller, proposal):
    """The claims still leave time; the row does not."""
    past = timezone.now() - dt.timedelta(seconds=1)
    PendingAction.objects.filter(pk=proposal["proposal_id"]).update(created_at=past - dt.timedelta(1), expires_at=past)
    refused(committed(caller, proposal), "expired", 410)
    assert actions.expire_overdue(timezone.now()) == 1
    refused(committed(caller, proposal), "expired", 410)
    assert Ticket.objects.count() == 0


@pytest.mark.parametrize("status", ["pending", "rejected", "cancelled"])
def test_what_nobody_approved_is_not_committed(world, caller, proposal, status):
    PendingAction.objects.filter(pk=proposal["proposal_id"]).update(status=status, quorum=1)
    refused(committed(caller, proposal), "not_approved", 409)


def test_a_spent_nonce_is_refused_even_where_the_row_says_approved(world, caller, proposal):
    assert committed(caller, proposal).status_code == 200
    PendingAction.objects.filter(pk=proposal["proposal_id"]).update(status="approved")
    refused(committed(caller, proposal), "nonce_replay", 409)
    Nonce.objects.all().delete()
    # The accepted commit is a row too, and there is one a proposal.
    refused(committed(caller, proposal), "nonce_replay", 409)
    assert Ticket.objects.count() == 1


def test_spent_nonces_are_swept_after_their_tokens_end_and_a_replay_is_refused_still(world, caller, proposal):
    assert committed(caller, proposal).status_code == 200
    assert sweep_nonces() == 0
    Nonce.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert (sweep_nonces(), sweep_nonces(), Nonce.objects.count()) == (1, 0, 0)
    refused(committed(caller, proposal), "nonce_replay", 409)
