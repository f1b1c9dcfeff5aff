"""The state machine at its edges: late, twice, stale, changed meanwhile. Each refusal leaves no effect behind."""

import datetime as dt

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from approvals import actions
from approvals.actions import decide
from approvals.models import PendingAction
from approvals.states import MOVES, TERMINAL, Status
from approvals.transitions import Refused, burn, move, record_result
from observatory import records
from observatory.approved import run_approved, run_ready
from telemetry.models import AuditEvent, Payload
from telemetry.recorder import SYSTEM, store_payload
from tools import idempotency
from tools.actions.agents import issue_key, revoke_key, rotate_key
from tools.actions.policies import publish
from tools.actions.switches import engage
from tools.contract import Outcome
from tools.models import Agent, AgentKey, IdempotencyRecord, KillSwitch, Tool
from tools.scopes import Scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def asker(world):
    return world.caller(world.allowing())


def held(world, caller, **headers):
    arguments = {"customer_id": world.acme.pk, "new_status": "vip"}
    body = caller.call("update_customer_status", arguments, **headers).json()
    return PendingAction.objects.get(pk=body["pending_action_id"])


def approved(world, caller, **headers):
    action = held(world, caller, **headers)
    decide(action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    return action


def status_of(action):
    action.refresh_from_db()
    return action.status


def customer_status(world):
    world.acme.refresh_from_db()
    return world.acme.status


def lapse(action, **fields):
    past = timezone.now() - dt.timedelta(minutes=1)
    times = {name: past for name in fields if fields[name]}
    PendingAction.objects.filter(pk=action.pk).update(created_at=past - dt.timedelta(hours=1), **times)


def test_no_terminal_state_has_a_way_out():
    assert {s for s in Status if s not in MOVES} == TERMINAL
    over = {Status.REJECTED, Status.EXPIRED, Status.CANCELLED, Status.REVOKED, Status.BLOCKED}
    assert {Status.DONE, Status.FAILED} | over == TERMINAL


def test_a_move_that_is_none_raises(world, asker):
    with pytest.raises(ValueError, match="never becomes"):
        move(held(world, asker), Status.PENDING, Status.DONE)


def test_an_approval_that_expired_is_not_burnt(world, asker):
    action = approved(world, asker)
    lapse(action, expires_at=True)
    assert isinstance(burn(action.pk, timezone.now()), Refused)
    assert status_of(action) == Status.APPROVED
    assert actions.expire_overdue(timezone.now()) == 1
    assert status_of(action) == Status.EXPIRED
    assert customer_status(world) == "active"


CHANGES = {
    "key_revoked": lambda world, asker: revoke_key(asker.key, SYSTEM, timezone.now()),
    "frozen": lambda world, asker: engage(KillSwitch(scope="everything", reason="INC-7"), SYSTEM),
    "policy_changed": lambda world, asker: publish(asker.key.policy, SYSTEM),
    "tool_changed": lambda world, asker: Tool.objects.filter(name="update_customer_status").update(
        requires_two_phase=True
    ),
}


@pytest.mark.parametrize("code", CHANGES)
def test_what_changed_since_revokes_the_approval_before_anything_is_burnt(world, asker, code):
    action = approved(world, asker)
    CHANGES[code](world, asker)
    refused = burn(action.pk, timezone.now())
    assert refused == Refused(code)
    assert (status_of(action), action.reason) == (Status.REVOKED, code)
    types = AuditEvent.objects.about("pending_action", str(action.pk)).values_list("type", flat=True)
    assert "action.executing" not in types


@pytest.mark.parametrize("code", CHANGES)
def test_nobody_can_approve_what_could_not_run(world, asker, code):
    action = held(world, asker)
    CHANGES[code](world, asker)
    answer = decide(action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    assert answer.code == code
    assert (status_of(action), action.votes.count()) == (Status.PENDING, 0)


def test_a_rotated_keys_approval_still_runs_and_a_revoked_ones_does_not(world, asker):
    action = approved(world, asker)
    rotate_key(asker.key, SYSTEM, dt.timedelta(0), timezone.now() - dt.timedelta(seconds=1))
    AgentKey.objects.filter(pk=asker.key.pk).update(
        created_at=timezone.now() - dt.timedelta(days=1), expires_at=timezone.now() - dt.timedelta(seconds=1)
    )
    assert isinstance(run_approved(action.pk, timezone.now()), Outcome)
    assert customer_status(world) == "vip"


def test_a_late_second_burn_tells_the_idempotency_record_nothing(world, asker):
    action = approved(world, asker, Idempotency_Key="k")
    first = burn(action.pk, timezone.now())
    engage(KillSwitch(scope="everything", reason="INC-7"), SYSTEM)
    assert burn(action.pk, timezone.now()) == Refused("already_decided")
    assert IdempotencyRecord.objects.get().status == "held"
    answer = idempotency.store_answer({"ok": 1}, "", {}, timezone.now())
    assert record_result(first, Status.DONE, "allowed", answer, timezone.now())
    assert IdempotencyRecord.objects.get().status == "done"


def test_a_stale_fence_changes_nothing(world, asker):
    action = approved(world, asker)
    permit = burn(action.pk, timezone.now())
    PendingAction.objects.filter(pk=action.pk).update(fence=permit.fence + 1)
    assert not record_result(permit, Status.DONE, "allowed", None, timezone.now())
    assert status_of(action) == Status.EXECUTING


def test_a_run_that_was_cut_off_is_unknown_and_never_runs_again(world, asker):
    action = approved(world, asker, Idempotency_Key="k")
    Tool.objects.filter(pk=action.tool_id).update(idempotent=False)
    permit = burn(action.pk, timezone.now())
    lapse(action, lease_until=True)
    assert actions.recover_lapsed(timezone.now()) == 1
    assert status_of(action) == Status.UNKNOWN
    assert actions.recover_lapsed(timezone.now()) == 0
    assert run_ready() == 0
    assert customer_status(world) == "active"
    repeat = asker.call(
        "update_customer_status", {"customer_id": world.acme.pk, "new_status": "vip"}, Idempotency_Key="k"
    )
    assert (repeat.status_code, repeat.json()["code"]) == (409, "outcome_unknown")
    # A run that comes back after all knows better.
    answer = idempotency.store_answer({"ok": 1}, "", {}, timezone.now())
    assert record_result(permit, Status.DONE, "allowed", answer, timezone.now())
    assert status_of(action) == Status.DONE


def test_an_effect_that_could_not_be_recorded_is_unknown_not_failed(world, asker, monkeypatch):
    action = approved(world, asker)
    settle = records._settle

    def refuse(*args):
        raise OperationalError("the database is gone for a moment")

    monkeypatch.setattr(records, "_settle", refuse)
    monkeypatch.setattr(records, "SETTLE_TRIES", 1)
    outcome = run_approved(action.pk, timezone.now())
    monkeypatch.setattr(records, "_settle", settle)
    assert outcome.reason.code == "outcome_unrecorded"
    assert customer_status(world) == "vip"
    assert status_of(action) == Status.UNKNOWN


def test_only_the_bytes_that_were_approved_run(world, asker):
    action = approved(world, asker)
    other = b'{"customer_id":%d,"new_status":"blocked"}' % world.acme.pk
    now = timezone.now()
    swapped = store_payload(Payload.Purpose.ARGUMENTS, other, now + dt.timedelta(hours=1), now)
    PendingAction.objects.filter(pk=action.pk).update(arguments=swapped)
    outcome = run_approved(action.pk, now)
    assert outcome.reason.code == "stale_digest"
    assert (status_of(action), customer_status(world)) == (Status.FAILED, "active")


def test_one_action_that_cannot_run_holds_up_no_other(world, asker):
    broken, sound = approved(world, asker), approved(world, asker)
    Payload.objects.filter(pk=broken.arguments_id).update(sealed=b"nonsense")
    assert run_ready() == 1
    assert (status_of(broken), status_of(sound)) == (Status.FAILED, Status.DONE)


def test_arguments_that_grow_when_canonical_still_run(world, asker):
    """The body is bounded as it was sent; its canonical bytes may be longer."""
    world.acme.delete()
    policy = world.policy(
        "hold", {"tools": "*", "effect": "allow"}, {"tools": "send_message", "effect": "require_approval"}
    )
    caller = world.caller(policy)
    body = '{"channel":"#s","message":"' + "\\u0001" * 3_000 + '"}'
    action = PendingAction.objects.get(pk=caller.post("/tools/send_message", body).json()["pending_action_id"])
    decide(action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    assert isinstance(run_approved(action.pk, timezone.now()), Outcome)


WHO = {
    "the key's owner": ("alice", 403),
    "the agent's owner": ("carol", 403),
    "who was shown the secret": ("dave", 403),
    "somebody else": ("bob", None),
}


@pytest.mark.parametrize("who", WHO)
def test_four_eyes_are_two_people(world, who):
    name, refused = WHO[who]
    carol, dave = (
        world.person("carol", "operators", "policy editors"),
        world.person("dave", "operators", "policy editors"),
    )
    agent = Agent.objects.create(name="shared-agent", owner=carol)
    key = AgentKey(agent=agent, owner=world.alice, policy=world.allowing(), scopes=[Scope.TOOLS_CALL])
    from telemetry.recorder import Actor
    from tests.world import Caller

    caller = Caller(key, issue_key(key, Actor("operator", str(dave.pk), "dave")).text)
    action = held(world, caller)
    user = {"alice": world.alice, "bob": world.bob, "carol": carol, "dave": dave}[name]
    answer = decide(action.pk, user, approve=True, reason="", via="admin", now=timezone.now())
    assert getattr(getattr(answer, "reason", None), "status", None) == refused
    assert (user == world.bob) == (status_of(action) == Status.APPROVED)
    waiting = held(world, caller)
    assert PendingAction.objects.waiting().decidable_by(user).filter(pk=waiting.pk).exists() == (refused is None)


CONFIRMS = [
    # terms of the rule, the policy, whether the owner may decide, whether it runs
    ({}, {"self_confirm": True}, True, True),
    ({}, {"self_confirm": True}, False, False),
    ({"quorum": 2}, {"self_confirm": True}, True, False),
    ({"groups": ["operators"]}, {"self_confirm": True}, True, False),
    ({"expression": "args.missing > 1"}, {"self_confirm": True}, True, False),
    ({}, {}, True, False),
]


@pytest.mark.parametrize(("terms", "switches", "may_decide", "runs"), CONFIRMS)
def test_confirm_true_is_one_eligible_persons_yes_and_no_more(world, terms, switches, may_decide, runs):
    rule = {"tools": "update_*", "effect": "require_approval"} | terms
    policy = world.policy("p", {"tools": "*", "effect": "allow"}, rule, **switches)
    caller = world.caller(policy, owner=world.bob if may_decide else world.charlie)
    arguments = {"customer_id": world.acme.pk, "new_status": "vip", "confirm": True}
    body = caller.call("update_customer_status", arguments).json()
    assert body["requires_confirmation"] is not runs
    assert customer_status(world) == ("vip" if runs else "active")
    if runs:
        event = AuditEvent.objects.get(type="call.settled")
        assert event.facts["confirmed_by_key"] is True


def test_a_frozen_agents_key_decides_nothing(world, asker):
    action = held(world, asker)
    bob = world.caller(asker.key.policy, name="bobs-agent", owner=world.bob)
    switch = engage(KillSwitch(scope="agent", agent=bob.key.agent, reason="INC-8"), SYSTEM)
    assert bob.post(f"/confirm/{action.pk}", {"approve": True}).status_code == 423
    assert status_of(action) == Status.PENDING
    from tools.actions.switches import release

    release(switch, SYSTEM, timezone.now())
    assert bob.post(f"/confirm/{action.pk}", {"approve": True}).status_code == 200


def test_a_call_that_the_tool_itself_holds_names_the_tool(world, asker):
    action = held(world, asker)
    assert action.rule == "the tool's own setting"
    assert AuditEvent.objects.get(type="call.held").rule == "the tool's own setting"


def test_why_somebody_decided_is_in_the_trail_masked(world, asker):
    action = held(world, asker)
    secret = "AKIA" + "Q3EGRYLPX7VZ2MWT"
    decide(action.pk, world.bob, approve=False, reason=f"no: {secret}", via="admin", now=timezone.now())
    event = AuditEvent.objects.get(type="action.rejected")
    assert event.facts["why"].startswith("no: ")
    assert secret not in event.data
    assert status_of(action) == Status.REJECTED
    assert action.reason == "action_rejected"


def test_a_held_calls_answer_is_kept_as_long_as_the_call_may_wait(world):
    policy = world.policy(
        "p",
        {"tools": "*", "effect": "allow"},
        {"tools": "update_*", "effect": "require_approval", "expires_in_s": 5 * 86_400},
    )
    caller = world.caller(policy)
    action = held(world, caller, Idempotency_Key="k")
    record = IdempotencyRecord.objects.get()
    assert record.expires_at > action.expires_at
    assert record.result.expires_at > action.expires_at


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lock", ["policy", "action"])
def test_a_burn_waits_for_who_holds_the_row(world, lock):
    """A publish, or another burn, that is under way is waited for, and what it decided is seen."""
    import threading

    asker = world.caller(world.allowing())
    action = approved(world, asker)
    begun, answers = threading.Event(), []

    def later():
        begun.set()
        try:
            answers.append(burn(action.pk, timezone.now()))
        finally:
            connection.close()

    from django.db import transaction

    thread = threading.Thread(target=later)
    with transaction.atomic():
        if lock == "policy":
            publish(asker.key.policy, SYSTEM)
        else:
            PendingAction.objects.select_for_update().get(pk=action.pk)
        thread.start()
        begun.wait(5)
        thread.join(0.5)
        assert thread.is_alive(), "the burn did not wait"
    thread.join(10)
    assert answers == [Refused("policy_changed")] if lock == "policy" else answers[0].fence == 1


@pytest.mark.django_db(transaction=True)
def test_a_burn_that_waited_past_the_expiry_burns_nothing(world):
    """A statement's time is when it starts: the lock comes first, the question of time in a second statement."""
    import threading

    from django.db import transaction

    asker = world.caller(world.allowing())
    action, answers = approved(world, asker), []

    def later():
        try:
            answers.append(burn(action.pk, timezone.now()))
        finally:
            connection.close()

    thread = threading.Thread(target=later)
    with transaction.atomic():
        PendingAction.objects.select_for_update().get(pk=action.pk)
        ends = timezone.now() + dt.timedelta(milliseconds=700)
        PendingAction.objects.filter(pk=action.pk).update(expires_at=ends)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "the burn did not wait"
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep_until(%s)", [ends + dt.timedelta(milliseconds=100)])
    thread.join(10)
    assert answers == [Refused("already_decided")]
    assert status_of(action) == Status.APPROVED
