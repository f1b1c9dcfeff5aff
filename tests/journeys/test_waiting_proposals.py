"""Between the two phases: who may agree to a proposal, how long it lives, and what becomes of it when things change."""

import datetime as dt

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.utils import timezone

from approvals.commit_token import verify
from approvals.models import Commit, CommitToken, IntegritySettings, Nonce, PendingAction, Proposal
from observatory.demo.models import Ticket
from telemetry.recorder import SYSTEM
from tests.journeys.proposals import SAME, committed, proposed, ticket
from tools.actions.switches import engage, release
from tools.models import KillSwitch, Tool
from tools.scopes import Scope

pytestmark = pytest.mark.django_db
ALL = {"tools": "*", "effect": "allow"}


def under(world, *rules, tool="create_ticket", **switches):
    """A caller under a policy by which this tool runs by two phases, and these rules."""
    two_phase = {"tools": tool, "effect": "require_two_phase"}
    return world.caller(world.policy("p", dict(ALL), two_phase, *rules, **switches))


def agent_of_bob(world, caller):
    return world.caller(caller.key.policy, name="bobs-agent", owner=world.bob)


def path_of(proposal):
    return f"/proposals/{proposal['proposal_id']}"


def confirm(caller, proposal, *, approve=True):
    return caller.post(f"/confirm/{proposal['proposal_id']}", {"approve": approve})


def time_of(body):
    return dt.datetime.fromisoformat(body["expires_at"])


def give_to_commit(seconds):
    IntegritySettings.objects.create(tool=Tool.objects.get(name="create_ticket"), commit_within_s=seconds)


# who may agree


# Whether the rule that holds the proposal can be decided for it.
HOLDS = {"decided": ("args.title", "contains", "invoices"), "not decided": ("args.missing", "greater_than", "5")}


@pytest.mark.parametrize(("said", "status", "code"), [("decided", 200, None), ("not decided", 403, "own_request")])
def test_the_owner_agrees_alone_only_where_every_rule_could_be_decided(world, said, status, code):
    rule = {"tools": "create_ticket", "effect": "require_approval", "conditions": [HOLDS[said]]}
    caller = under(world, rule, self_confirm=True)
    body = proposed(caller, ticket(world)).json()
    assert body["status"] == "pending_approval"
    answer = confirm(caller, body)
    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert caller.get(path_of(body)).json()["status"] == ("pending_approval" if code else "allowed")
    assert CommitToken.objects.exists() is (code is None)


def test_named_groups_agree_to_a_proposal_and_nobody_else(world):
    finance = Group.objects.create(name="finance")
    caller = under(world, {"tools": "create_ticket", "effect": "require_approval", "groups": ["finance"]})
    body, bob = proposed(caller, ticket(world)).json(), agent_of_bob(world, caller)
    refused = confirm(bob, body)
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_action")
    assert caller.get(path_of(body)).json()["status"] == "pending_approval"
    world.bob.groups.add(finance)
    assert confirm(bob, body).json()["status"] == "confirmed"
    assert caller.get(path_of(body)).json()["status"] == "allowed"


UNDECIDED = {"tools": "update_*", "effect": "require_approval", "conditions": [HOLDS["not decided"]]}
CONFIRMS = [
    # the policy's switch, the key's scopes, more rules, `confirm` as sent, status of the proposal
    (True, Scope.values, [], True, "allowed"),
    (True, Scope.values, [], False, "pending_approval"),
    (False, Scope.values, [], True, "pending_approval"),
    (True, [Scope.TOOLS_CALL], [], True, "pending_approval"),
    (True, Scope.values, [UNDECIDED], True, "pending_approval"),
]


@pytest.mark.parametrize(("self_confirm", "scopes", "more", "confirm_sent", "status"), CONFIRMS)
def test_confirm_true_allows_a_proposal_at_once_only_where_the_policy_lets_the_key(
    world, self_confirm, scopes, more, confirm_sent, status
):
    two_phase = {"tools": "update_*", "effect": "require_two_phase"}
    policy = world.policy("p", dict(ALL), two_phase, *[dict(rule) for rule in more], self_confirm=self_confirm)
    caller = world.caller(policy, scopes=scopes)
    arguments = {"customer_id": world.acme.pk, "new_status": "vip"}
    body = proposed(caller, arguments | {"confirm": confirm_sent}, tool="update_customer_status").json()
    # The door's flag is no argument: what is committed is what it was taken out of.
    assert (body["status"], body["tool_args"]) == (status, arguments)
    assert ("commit_token" in body) == (status == "allowed")
    world.acme.refresh_from_db()
    assert world.acme.status == "active"
    if status == "allowed":
        assert committed(caller, body).json()["status"] == "committed"
        world.acme.refresh_from_db()
        assert world.acme.status == "vip"


# how long it lives


def test_the_time_to_agree_is_the_rules(world):
    caller = under(world, {"tools": "create_ticket", "effect": "require_approval", "expires_in_s": 120})
    body = proposed(caller, ticket(world)).json()
    left = time_of(body) - Proposal.objects.get().created_at
    assert dt.timedelta(seconds=119) < left <= dt.timedelta(seconds=120)


def test_the_time_to_commit_is_the_tools(world):
    give_to_commit(60)
    body = proposed(under(world), ticket(world)).json()
    left = time_of(body) - Proposal.objects.get().created_at
    assert dt.timedelta(seconds=59) < left <= dt.timedelta(seconds=60)
    assert verify(body["commit_token"]).claims.expires_at == time_of(body).timestamp()


@pytest.mark.parametrize(("to_agree_s", "to_commit_s"), [(3600, 60), (60, 3600)])
def test_the_time_to_commit_begins_with_the_approval(world, to_agree_s, to_commit_s):
    give_to_commit(to_commit_s)
    caller = under(world, {"tools": "create_ticket", "effect": "require_approval", "expires_in_s": to_agree_s})
    waits = proposed(caller, ticket(world)).json()
    agreed_at = timezone.now() + dt.timedelta(seconds=30)
    bob = agent_of_bob(world, caller)
    with time_machine.travel(agreed_at, tick=False):
        assert confirm(bob, waits).json()["status"] == "confirmed"
        allowed = caller.get(path_of(waits)).json()
    assert time_of(allowed) == agreed_at.replace(microsecond=0) + dt.timedelta(seconds=to_commit_s)
    assert verify(allowed["commit_token"]).claims.expires_at == time_of(allowed).timestamp()


@pytest.mark.parametrize("waits", [False, True])
def test_a_proposal_past_its_time_has_no_token_any_more(world, waits):
    """Also before a sweep has said that it is over, and where no token had been given yet."""
    caller = world.caller(world.two_phase(waits=waits))
    body = proposed(caller, ticket(world)).json()
    if waits:
        assert confirm(agent_of_bob(world, caller), body).status_code == 200
    ends = PendingAction.objects.get().expires_at
    with time_machine.travel(ends, tick=False):
        over = caller.get(path_of(body)).json()
    assert (over["status"], over["reason"]) == ("expired", "action_expired")
    assert "commit_token" not in over
    assert CommitToken.objects.count() == (0 if waits else 1)
    with time_machine.travel(ends - dt.timedelta(seconds=1), tick=False):
        assert caller.get(path_of(body)).json()["commit_token"].startswith("mo1.")


# what is kept, and what an answer may be kept by


SECRETS = {"an address": "anna.svensson@example.org", "a key": "AKIA" + "Q3EGRYLPX7VZ2MWT"}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_a_prompt_is_kept_masked(world, secret):
    body = {"tool": "create_ticket", "args": ticket(world), "prompt": f"Tell {secret} about it, today"}
    assert under(world).post("/proposals", body | {"candidate_outputs": SAME}).json()["status"] == "allowed"
    kept = Proposal.objects.get().prompt_masked
    assert kept.startswith("Tell [masked ")
    assert kept.endswith(" about it, today")
    assert secret not in kept


def test_no_cache_keeps_a_proposal_with_its_token(world):
    caller = under(world)
    answer = caller.get(path_of(proposed(caller, ticket(world)).json()))
    assert answer.json()["commit_token"]
    assert "no-store" in answer["Cache-Control"]


def test_another_prompt_is_another_intention(world):
    caller = under(world)
    body = {"tool": "create_ticket", "args": ticket(world), "candidate_outputs": SAME}
    first = caller.post("/proposals", body | {"prompt": "Open a ticket."}, Idempotency_Key="k")
    assert first.json()["status"] == "allowed"
    again = caller.post("/proposals", body | {"prompt": "Open a ticket."}, Idempotency_Key="k")
    assert again["Idempotency-Replayed"] == "true"
    other = caller.post("/proposals", body | {"prompt": "Open it, whatever it costs."}, Idempotency_Key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert Proposal.objects.count() == 1


def test_what_is_committed_leaves_as_the_policy_redacts_it(world):
    caller = under(world, {"tools": "create_ticket", "effect": "redact", "redact_paths": "ticket.title"})
    body = proposed(caller, ticket(world)).json()
    done = committed(caller, body).json()
    assert done["status"] == "committed"
    assert done["result"]["ticket"]["title"] == "[redacted]"
    assert caller.get(path_of(body)).json()["result"]["ticket"]["title"] == "[redacted]"
    # It is the answer that is masked, not what was done.
    assert Ticket.objects.get().title == "Late invoices"


# what changes meanwhile


def dry_by_rule(world):
    return under(world, {"tools": "create_ticket", "effect": "dry_run"})


def dry_by_switch(world):
    return under(world, dry_run=True)


WAYS_IN = {
    "a call": lambda caller, args: caller.call("create_ticket", args),
    "a proposal": proposed,
    "a flat proposal": lambda caller, args: caller.call("create_ticket_propose", args | {"candidate_outputs": SAME}),
}


@pytest.mark.parametrize("way", WAYS_IN)
@pytest.mark.parametrize("dry", [dry_by_rule, dry_by_switch])
def test_a_dry_run_of_a_two_phase_tool_is_said_and_leaves_nothing(world, dry, way):
    answer = WAYS_IN[way](dry(world), ticket(world))
    assert (answer.status_code, answer.json()["dry_run"]) == (200, True)
    assert answer.json()["would"] == {"call": "create_ticket", "arguments": ticket(world)}
    assert "commit_token" not in answer.json()
    assert (Proposal.objects.count(), PendingAction.objects.count(), Ticket.objects.count()) == (0, 0, 0)


def test_a_commit_in_a_dry_hour_spends_its_token_and_runs_nothing(world):
    """The rule was published before the proposal, and comes to hold between the phases."""
    give_to_commit(7200)
    begins = timezone.now()
    later = begins + dt.timedelta(hours=1)
    hour = ("time.hour", "equals", str(later.hour))
    caller = under(world, {"tools": "create_ticket", "effect": "dry_run", "conditions": [hour]})
    with time_machine.travel(begins, tick=False):
        body = proposed(caller, ticket(world)).json()
    assert body["status"] == "allowed"
    with time_machine.travel(later, tick=False):
        answer = committed(caller, body)
        assert (answer.status_code, answer.json()["dry_run"]) == (200, True)
        assert committed(caller, body).json()["reason"] == "nonce_replay"
    stands = caller.get(path_of(body)).json()
    assert (stands["status"], stands["reason"]) == ("failed", "dry_run")
    assert (Ticket.objects.count(), Nonce.objects.count()) == (0, 1)


def test_an_agent_that_is_frozen_between_the_phases_commits_nothing(world):
    caller = under(world)
    other = world.caller(caller.key.policy, name="other-agent")
    mine, theirs = proposed(caller, ticket(world)).json(), proposed(other, ticket(world)).json()
    engage(KillSwitch(scope="agent", agent=caller.key.agent, reason="INC-7"), SYSTEM)
    answer = committed(caller, mine)
    assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (423, "blocked", "frozen")
    assert Commit.objects.get(pk=answer.json()["commit_id"]).reason == "frozen"
    assert Ticket.objects.count() == Nonce.objects.count() == 0
    assert committed(other, theirs).json()["status"] == "committed"


def test_a_waiting_proposal_of_a_frozen_agent_is_not_approved(world):
    caller = world.caller(world.two_phase(waits=True))
    body, bob = proposed(caller, ticket(world)).json(), agent_of_bob(world, caller)
    switch = engage(KillSwitch(scope="agent", agent=caller.key.agent, reason="INC-7"), SYSTEM)
    frozen = confirm(bob, body)
    assert (frozen.status_code, frozen.json()["code"]) == (423, "frozen")
    # Nothing was decided by it.
    assert caller.get(path_of(body)).json()["status"] == "pending_approval"
    release(switch, SYSTEM, timezone.now())
    assert confirm(bob, body).json()["status"] == "confirmed"


@pytest.mark.parametrize("scope", ["everything", "agent", "tool"])
def test_after_a_freeze_what_was_revoked_stays_so_and_a_new_proposal_works(world, scope):
    caller = under(world)
    before = proposed(caller, ticket(world)).json()
    named = {"agent": {"agent": caller.key.agent}, "tool": {"tool": Tool.objects.get(name="create_ticket")}}
    switch = engage(KillSwitch(scope=scope, reason="INC-7", **named.get(scope, {})), SYSTEM)
    assert committed(caller, before).json()["reason"] == "frozen"
    assert proposed(caller, ticket(world)).json()["code"] == "frozen"
    release(switch, SYSTEM, timezone.now())
    assert committed(caller, before).json()["reason"] == "frozen"
    stands = caller.get(path_of(before)).json()
    assert (stands["status"], stands["reason"]) == ("revoked", "frozen")
    assert committed(caller, proposed(caller, ticket(world)).json()).json()["status"] == "committed"
    assert Ticket.objects.count() == 1
