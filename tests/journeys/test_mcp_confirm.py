"""An agent's own user confirms a held call, where the policy says that one's own word is enough; nobody else's."""

from collections import Counter

import mcp_types as types
import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from approvals.actions import decide
from approvals.models import PendingAction, Vote
from approvals.states import Status
from observatory.demo.models import Ticket
from observatory.doors.mcp.sealed_state import Question, opened, sealed
from observatory.groups import OPERATORS
from observatory.tasks import run_approved_actions
from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM
from tests.journeys.mcp_requests import WITH_FORMS, WITH_TASKS, ask, call, error, result, talk
from tests.journeys.proposals import SAME
from tests.races.lapsing import expire
from tests.races.threads import at_once
from tests.serving import serving
from tools.actions.policies import publish
from tools.scopes import Scope

YES = {"confirm": {"action": "accept", "content": {"approve": True}}}
TOOL = "create_ticket"


def held_policy(world, name="self", *, self_confirm=True, groups=(), **terms):
    """create_ticket waits for a person; the key's own owner is one, unless said otherwise."""
    rules = {"tools": "*", "effect": "allow"}, {"tools": TOOL, "effect": "require_approval", "groups": groups, **terms}
    return world.policy(name, *rules, self_confirm=self_confirm)


@pytest.fixture
def caller(world):
    return world.caller(held_policy(world))


@pytest.fixture
def arguments(world):
    return {"customer_id": world.acme.pk, "title": "Late invoices"}


def asked(caller, arguments, **more):
    """The question that a held call is answered with."""
    question = call(caller, TOOL, arguments, **({"can": WITH_FORMS} | more))
    assert question["resultType"] == "input_required", question
    return question


def repeat(caller, arguments, state, answers=YES, tool=TOOL, **more):
    """The HTTP answer to the same call with its user's answer."""
    params = {"name": tool, "arguments": arguments, "requestState": state, "inputResponses": answers}
    return ask(caller, "tools/call", params, **({"can": WITH_FORMS} | more))


# the official client, over HTTP


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("said", "status", "tickets"), [("accept", "done", 1), ("decline", "cancelled", 0), ("cancel", "cancelled", 0)]
)
def test_the_official_client_asks_its_user(world, caller, arguments, tmp_path, said, status, tickets):
    shown = []

    async def user(context, params):
        shown.append(params)
        return types.ElicitResult(action=said, content={"approve": True} if said == "accept" else None)

    with serving(tmp_path) as server:
        done = talk(server, caller.secret, lambda client: client.call_tool(TOOL, arguments), elicitation_callback=user)
    assert len(shown) == 1
    assert "Late invoices" in shown[0].message
    assert Ticket.objects.count() == tickets
    assert PendingAction.objects.get().status == status
    assert done.is_error is (said != "accept")
    assert done.structured_content.get("code") == (None if said == "accept" else "action_cancelled")


# by hand


@pytest.mark.django_db
def test_a_confirmed_call_runs_once_and_its_owner_voted(world, caller, arguments):
    question = asked(caller, arguments)
    assert PendingAction.objects.get().status == Status.PENDING
    assert Ticket.objects.count() == 0
    done = result(repeat(caller, arguments, question["requestState"]))
    assert (done["resultType"], done["isError"]) == ("complete", False)
    assert done["structuredContent"]["ticket"]["title"] == "Late invoices"
    vote = Vote.objects.get()
    assert (vote.operator_name, vote.via, vote.approve) == ("alice", "mcp", True)
    assert AuditEvent.objects.filter(type="action.approved", actor="alice").count() == 1
    again = result(repeat(caller, arguments, question["requestState"]))
    assert again["structuredContent"] == done["structuredContent"]
    assert (Ticket.objects.count(), Vote.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_the_form_shows_the_arguments_in_full_and_nothing_hides(world, caller):
    tricky = {"customer_id": world.acme.pk, "title": "Pay\u202e 009\u200b" + "x" * 190}
    form = asked(caller, tricky)["inputRequests"]["confirm"]["params"]
    assert "Pay⟦U+202E⟧ 009⟦U+200B⟧" + "x" * 190 in form["message"]
    assert TOOL in form["message"]
    assert form["mode"] == "form"
    assert set(form["requestedSchema"]["properties"]) == {"approve"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "then"),
    [
        ({"action": "accept", "content": {"approve": False}}, Status.CANCELLED),
        ({"action": "decline"}, Status.CANCELLED),
        ({"action": "cancel"}, Status.CANCELLED),
        ({"action": "accept", "content": {}}, Status.PENDING),
        ({"action": "accept", "content": {"approve": "yes"}}, Status.PENDING),
        ({"action": "accept"}, Status.PENDING),
        (None, Status.PENDING),
    ],
)
def test_only_a_ticked_form_that_was_sent_off_is_a_yes(world, caller, arguments, answer, then):
    question = asked(caller, arguments)
    found = result(repeat(caller, arguments, question["requestState"], {"confirm": answer} if answer else {}))
    assert PendingAction.objects.get().status == then
    assert Ticket.objects.count() == 0
    if then == Status.CANCELLED:
        assert found["structuredContent"]["code"] == "action_cancelled"
    else:
        assert found["resultType"] == "input_required"
        assert result(repeat(caller, arguments, found["requestState"]))["isError"] is False


def without(policy):
    return lambda world: world.caller(policy(world))


NOT_ASKED = {
    "self_confirm is off": without(lambda world: held_policy(world, self_confirm=False)),
    "two must agree": without(lambda world: held_policy(world, quorum=2)),
    "groups are named": without(lambda world: held_policy(world, groups=[OPERATORS])),
    "the key may not confirm": lambda world: world.caller(held_policy(world), scopes=[Scope.TOOLS_CALL]),
    "the owner may not decide": lambda world: world.caller(held_policy(world), owner=world.charlie),
    "a rule could not be decided": without(
        lambda world: world.policy(
            "errs",
            {"tools": "*", "effect": "allow"},
            {"tools": TOOL, "effect": "require_approval", "expression": "args.nothing == 1"},
            self_confirm=True,
        )
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("why", NOT_ASKED)
def test_nobody_is_asked_and_no_state_helps_where_the_policy_wants_other_eyes(world, arguments, why):
    Group.objects.get(name=OPERATORS)
    caller = NOT_ASKED[why](world)
    plain = call(caller, TOOL, arguments, can=WITH_FORMS)
    assert (plain["resultType"], plain["structuredContent"]["status"]) == ("complete", "pending_approval")
    assert call(caller, TOOL, arguments, can=WITH_FORMS | WITH_TASKS)["resultType"] == "task"
    action = PendingAction.objects.get(pk=plain["structuredContent"]["pending_action_id"])
    # As if it had been sealed in another version, or before a setting changed.
    good = opened(asked(world.caller(held_policy(world, "other"), name="other"), arguments)["requestState"])
    state = sealed(Question(str(action.pk), caller.key.public_id, TOOL, good.args_sha256, good.expires_at))
    refused = result(repeat(caller, arguments, state))
    assert (refused["isError"], refused["structuredContent"]["code"]) == (True, "own_request")
    action.refresh_from_db()
    assert (action.status, Ticket.objects.count(), Vote.objects.count()) == (Status.PENDING, 0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize("can", [{}, {"elicitation": {"url": {}}}, {"extensions": {}}])
def test_a_client_that_shows_no_forms_is_answered_as_ever(world, caller, arguments, can):
    assert call(caller, TOOL, arguments, can=can)["structuredContent"]["status"] == "pending_approval"
    assert asked(caller, arguments, can={"elicitation": {}})
    legacy = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": TOOL, "arguments": arguments}}
    assert caller.post("/mcp", legacy).json()["result"]["structuredContent"]["status"] == "pending_approval"


def damaged(state):
    return state[:-3] + ("AAA" if state[-3:] != "AAA" else "BBB")


@pytest.mark.django_db
def test_a_state_is_good_for_the_call_it_was_made_for(world, caller, arguments):
    state = asked(caller, arguments)["requestState"]
    own = opened(state)
    second = world.caller(caller.key.policy)
    other = world.caller(caller.key.policy, name="other", owner=world.bob)
    overdue = sealed(Question(own.action_id, own.key, own.tool, own.args_sha256, int(timezone.now().timestamp()) - 1))
    refused = [
        repeat(caller, arguments, damaged(state)),
        repeat(caller, arguments, ""),
        repeat(caller, arguments, own.action_id),
        repeat(caller, arguments | {"title": "Other"}, state),
        repeat(caller, {"customer_id": world.acme.pk, "new_status": "vip"}, state, tool="update_customer_status"),
        repeat(caller, arguments, state, tool="create_ticket_commit"),
        repeat(second, arguments, state),
        repeat(other, arguments, state),
        repeat(caller, arguments, overdue),
    ]
    assert [error(answer) for answer in refused] == [(400, -32602)] * 9
    assert len({answer.content for answer in refused}) == 1
    assert AuditEvent.objects.filter(type="key.refused").count() == 9
    assert (Ticket.objects.count(), PendingAction.objects.get().status) == (0, Status.PENDING)
    assert result(repeat(caller, arguments, state))["isError"] is False


@pytest.mark.django_db
def test_a_state_of_another_purpose_or_another_masters_secret_opens_nothing(world, caller, arguments, settings):
    state = asked(caller, arguments)["requestState"]
    before = settings.MASTER_SECRET
    settings.MASTER_SECRET = "another master secret of 32 characters or more"
    assert error(repeat(caller, arguments, state)) == (400, -32602)
    settings.MASTER_SECRETS_RETIRED = [before]
    assert result(repeat(caller, arguments, state))["isError"] is False


@pytest.mark.django_db
def test_an_operator_who_was_first_has_decided(world, caller, arguments):
    state = asked(caller, arguments)["requestState"]
    action = PendingAction.objects.get()
    assert decide(action.pk, world.bob, approve=False, reason="", via="admin", now=timezone.now()).rejected
    refused = result(repeat(caller, arguments, state))
    assert (refused["isError"], refused["structuredContent"]["code"]) == (True, "action_rejected")
    state = asked(caller, arguments)["requestState"]
    action = PendingAction.objects.get(status=Status.PENDING)
    assert decide(action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now()).approved
    runs = result(repeat(caller, arguments, state))
    assert (runs["isError"], runs["structuredContent"]["status"]) == (False, "approved")
    assert result(repeat(caller, arguments, state, can=WITH_FORMS | WITH_TASKS))["resultType"] == "task"
    declined = result(repeat(caller, arguments, state, {"confirm": {"action": "decline"}}))
    assert declined["structuredContent"]["status"] == "approved"
    assert run_approved_actions() == 1
    assert result(repeat(caller, arguments, state))["structuredContent"]["ticket"]["title"] == "Late invoices"
    assert (Ticket.objects.count(), Vote.objects.count()) == (1, 2)


@pytest.mark.django_db
def test_what_changed_since_the_question_is_not_confirmed(world, caller, arguments):
    state = asked(caller, arguments)["requestState"]
    world.add_rules(caller.key.policy, {"tools": "search_customer", "effect": "deny"})
    publish(caller.key.policy, SYSTEM)
    refused = result(repeat(caller, arguments, state))
    assert (refused["isError"], refused["structuredContent"]["code"]) == (True, "policy_changed")
    late = asked(caller, arguments)["requestState"]
    assert expire(opened(late).action_id)
    refused = result(repeat(caller, arguments, late))
    assert (refused["isError"], refused["structuredContent"]["code"]) == (True, "action_expired")
    assert (Ticket.objects.count(), Vote.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_two_phases_are_not_asked_this_way(world, arguments):
    policy = world.two_phase(name="phases", waits=True)
    type(policy).objects.filter(pk=policy.pk).update(self_confirm=True)
    policy.refresh_from_db()
    publish(policy, SYSTEM)
    caller = world.caller(policy)
    flat = arguments | {"candidate_outputs": SAME}
    plain = call(caller, "create_ticket_propose", flat, can=WITH_FORMS)
    assert (plain["resultType"], plain["structuredContent"]["status"]) == ("complete", "pending_approval")
    assert call(caller, "create_ticket_propose", flat, can=WITH_FORMS | WITH_TASKS)["resultType"] == "task"


@pytest.mark.django_db
def test_a_repeat_by_idempotency_key_asks_again_about_the_same_action(world, caller, arguments):
    meta = {"org.mcp-observatory/idempotencyKey": "k"}
    states = [asked(caller, arguments, meta=meta)["requestState"] for _ in "ab"]
    assert len({opened(state).action_id for state in states}) == 1
    # The same intention under another key of the agent: that key was not the one that asked.
    second = world.caller(caller.key.policy)
    assert call(second, TOOL, arguments, can=WITH_FORMS, meta=meta)["resultType"] == "complete"
    for state in states:
        assert result(repeat(caller, arguments, state, meta=meta))["isError"] is False
    assert Ticket.objects.count() == 1
    done = call(caller, TOOL, arguments, can=WITH_FORMS, meta=meta)
    assert done["structuredContent"]["ticket"]["title"] == "Late invoices"


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_sixteen_repeats_of_one_state_run_it_once(world, caller, arguments):
    words = Counter()
    for turn in range(2):
        titled = arguments | {"title": f"Turn {turn}"}
        state = asked(caller, titled)["requestState"]

        def answered(number, titled=titled, state=state):
            found = result(repeat(caller, titled, state))
            assert not found["isError"]
            body = found["structuredContent"]
            return "ran" if "ticket" in body else body["status"]

        words.update(at_once(16, answered))
    assert set(words) <= {"ran", "approved", "executing"}
    assert words["ran"] >= 2
    assert Ticket.objects.count() == Vote.objects.count() == 2
    assert AuditEvent.objects.filter(type="action.executing").count() == 2


def test_a_state_holds_no_more_than_it_binds():
    question = Question("5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51", "key", TOOL, "0" * 64, 2_000_000_000)
    assert opened(sealed(question)) == question
    assert "key" not in sealed(question)
