"""Held calls at the public door: who may decide, what is answered, what never happens."""

import datetime as dt

import pytest
from django.utils import timezone

from approvals.models import PendingAction
from observatory.approved import run_ready
from telemetry.models import AuditEvent, Payload
from telemetry.recorder import SYSTEM
from tools.actions.agents import revoke_key
from tools.actions.policies import publish
from tools.actions.switches import engage
from tools.models import KillSwitch
from tools.scopes import Scope

pytestmark = pytest.mark.django_db
NOBODY = "5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51"


@pytest.fixture
def asker(world):
    """alice's agent, which may not confirm for itself."""
    return world.caller(world.allowing())


@pytest.fixture
def bob(world, asker):
    return world.caller(asker.key.policy, name="bobs-agent", owner=world.bob)


def ask(world, caller, **headers):
    arguments = {"customer_id": world.acme.pk, "new_status": "vip"}
    return caller.call("update_customer_status", arguments, **headers).json()["pending_action_id"]


def status_of(world):
    world.acme.refresh_from_db()
    return world.acme.status


def test_a_rejection_runs_nothing_and_is_said(world, asker, bob):
    action = ask(world, asker)
    answer = bob.post(f"/confirm/{action}", {"approve": False, "reason": "wrong customer"})
    assert answer.json() == {"ok": True, "status": "rejected", "customer": None}
    assert status_of(world) == "active"
    assert asker.get(f"/actions/{action}").json()["status"] == "rejected"


def test_the_asker_reads_where_it_stands_and_its_result(world, asker, bob):
    action = ask(world, asker)
    assert asker.get(f"/actions/{action}").json()["status"] == "pending"
    bob.post(f"/confirm/{action}", {"approve": True})
    done = asker.get(f"/actions/{action}?wait=5").json()
    assert done["status"] == "done"
    assert done["result"]["customer"]["status"] == "vip"


DECISIONS = [
    # who decides, what happened before, status, code
    ("bob", None, 200, None),
    ("asker", None, 403, "own_request"),
    ("charlie", None, 404, "unknown_action"),
    ("bob", "decided", 409, "already_decided"),
    ("bob", "expired", 409, "action_expired"),
    ("bob", "cancelled", 409, "already_decided"),
    ("bob", "key revoked", 409, "key_revoked"),
    ("bob", "frozen", 409, "frozen"),
    ("bob", "policy published", 409, "policy_changed"),
]


@pytest.mark.parametrize(("who", "before", "status", "code"), DECISIONS)
def test_a_decision_meets_what_happened_before(world, asker, bob, who, before, status, code):
    action = ask(world, asker)
    if before == "decided":
        bob.post(f"/confirm/{action}", {"approve": False})
    elif before == "expired":
        past = timezone.now() - dt.timedelta(seconds=1)
        PendingAction.objects.update(created_at=past - dt.timedelta(hours=1), expires_at=past)
    elif before == "cancelled":
        assert asker.delete(f"/actions/{action}").json()["status"] == "cancelled"
    elif before == "key revoked":
        revoke_key(asker.key, SYSTEM, timezone.now())
    elif before == "frozen":
        engage(KillSwitch(scope="everything", reason="INC-7"), SYSTEM)
    elif before == "policy published":
        publish(asker.key.policy, SYSTEM)
    charlie = world.caller(asker.key.policy, name="charlies", owner=world.charlie)
    decider = {"asker": asker, "bob": bob, "charlie": charlie}[who]
    answer = decider.post(f"/confirm/{action}", {"approve": True})
    if code == "frozen":
        status = 423
    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert status_of(world) == ("vip" if code is None else "active")


def test_a_second_vote_is_refused_and_quorum_counts_people(world):
    rule = {"tools": "update_*", "effect": "require_approval", "quorum": 2}
    policy = world.policy("p", {"tools": "*", "effect": "allow"}, rule)
    asker, bob = world.caller(policy), world.caller(policy, name="bobs", owner=world.bob)
    carol = world.caller(policy, name="carols", owner=world.person("carol", "operators"))
    action = ask(world, asker)
    first = bob.post(f"/confirm/{action}", {"approve": True})
    assert (first.status_code, first.json()["approvals"], first.json()["approvals_needed"]) == (202, 1, 2)
    second = bob.post(f"/confirm/{action}", {"approve": True})
    assert (second.status_code, second.json()["code"]) == (409, "already_voted")
    assert status_of(world) == "active"
    assert carol.post(f"/confirm/{action}", {"approve": True}).json()["status"] == "confirmed"
    assert status_of(world) == "vip"


def test_named_groups_decide_and_nobody_else(world):
    from django.contrib.auth.models import Group

    finance, _ = Group.objects.get_or_create(name="finance")
    rule = {"tools": "update_*", "effect": "require_approval", "groups": ["finance"]}
    policy = world.policy("p", {"tools": "*", "effect": "allow"}, rule)
    asker, bob = world.caller(policy), world.caller(policy, name="bobs", owner=world.bob)
    action = ask(world, asker)
    assert bob.post(f"/confirm/{action}", {"approve": True}).json()["code"] == "unknown_action"
    world.bob.groups.add(finance)
    assert bob.post(f"/confirm/{action}", {"approve": True}).json()["status"] == "confirmed"


@pytest.mark.parametrize(
    ("self_confirm", "scopes", "runs"),
    [(True, Scope.values, True), (False, Scope.values, False), (True, [Scope.TOOLS_CALL], False)],
)
def test_confirm_true_runs_at_once_only_where_the_policy_lets_the_key(world, self_confirm, scopes, runs):
    caller = world.caller(world.allowing(self_confirm=self_confirm), scopes=scopes)
    body = caller.call(
        "update_customer_status", {"customer_id": world.acme.pk, "new_status": "vip", "confirm": True}
    ).json()
    assert (body["requires_confirmation"], status_of(world)) == ((False, "vip") if runs else (True, "active"))


@pytest.mark.parametrize("door", ["get", "delete"])
def test_anothers_action_is_as_if_it_were_not_there(world, asker, door):
    action = ask(world, asker)
    other = world.caller(asker.key.policy, name="other-agent", owner=world.charlie)

    def alike(answer):
        return answer.status_code, answer.json() | {"trace_id": ""}

    mine = asker.get(f"/actions/{action}")
    assert mine.status_code == 200
    assert alike(getattr(other, door)(f"/actions/{action}")) == alike(getattr(other, door)(f"/actions/{NOBODY}"))


def test_an_idempotency_key_follows_the_action(world, asker, bob):
    action = ask(world, asker, Idempotency_Key="k")
    assert ask(world, asker, Idempotency_Key="k") == action
    bob.post(f"/confirm/{action}", {"approve": True})
    arguments = {"customer_id": world.acme.pk, "new_status": "vip"}
    done = asker.call("update_customer_status", arguments, Idempotency_Key="k")
    assert done.json()["customer"]["status"] == "vip"
    assert done["Idempotency-Replayed"] == "true"
    assert PendingAction.objects.count() == 1


def test_every_transition_has_one_event(world, asker, bob):
    action = ask(world, asker)
    bob.post(f"/confirm/{action}", {"approve": True})
    events = AuditEvent.objects.about("pending_action", action).order_by("id").values_list("type", flat=True)
    assert list(events) == ["action.requested", "action.approved", "action.executing", "action.done"]


def test_arguments_wait_sealed_and_masked_elsewhere(world, asker):
    secret = "AKIA" + "Q3EGRYLPX7VZ2MWT"
    arguments = {"customer_id": world.acme.pk, "new_status": secret}
    asker.call("update_customer_status", arguments)
    action = PendingAction.objects.get()
    assert secret.encode() not in bytes(action.arguments.sealed)
    assert secret not in action.args_masked
    assert secret not in "".join(AuditEvent.objects.values_list("data", flat=True))
    assert Payload.objects.filter(purpose="arguments").count() == 1


def test_what_was_approved_in_admin_is_run_by_the_sweep(world, asker):
    from approvals.actions import decide

    action = ask(world, asker)
    decide(action, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    assert status_of(world) == "active"
    assert run_ready() == 1
    assert run_ready() == 0
    assert status_of(world) == "vip"
