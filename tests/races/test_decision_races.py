"""Deciding and running what was decided: one effect, one decision, whoever comes first."""

import datetime as dt
from collections import Counter

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from approvals.actions import decide, expire_overdue
from approvals.models import PendingAction, Vote
from approvals.states import Status
from observatory.approved import run_approved
from telemetry.models import AuditEvent
from tests.journeys.proposals import proposed, ticket
from tests.races.threads import at_once
from tools.contract import Outcome, Stop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
ROUNDS, THREADS = 6, 16
# As often as it was measured that without the lock none of 40 quorums, and not each of 150 ends, came out right.
QUORUMS, ENDS = 40, 150


def held(world, caller, status="vip"):
    body = caller.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": status}).json()
    return PendingAction.objects.get(pk=body["pending_action_id"])


def test_sixteen_confirms_run_it_once(world):
    policy = world.allowing()
    asker, bob = world.caller(policy), world.caller(policy, name="bobs", owner=world.bob)
    codes: Counter[str] = Counter()
    for _ in range(ROUNDS):
        action = held(world, asker)
        answers = at_once(THREADS, lambda n, a=action: bob.post(f"/confirm/{a.pk}", {"approve": True}).json())
        codes.update(a.get("code") or a["status"] for a in answers)
    assert codes == {"confirmed": ROUNDS, "already_decided": ROUNDS * (THREADS - 1)}
    assert AuditEvent.objects.filter(type="action.executing").count() == ROUNDS
    assert Vote.objects.count() == ROUNDS


@pytest.mark.slow
def test_sixteen_runs_of_one_approval_burn_it_once(world):
    asker = world.caller(world.allowing())
    ran = 0
    for _ in range(ROUNDS):
        action = held(world, asker)
        decide(action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now())
        answers = at_once(THREADS, lambda n, a=action: run_approved(a.pk, timezone.now()))
        ran += sum(isinstance(a, Outcome) for a in answers)
    assert ran == ROUNDS
    settled = AuditEvent.objects.filter(type="call.settled")
    assert settled.count() == ROUNDS


@pytest.mark.slow
def test_approve_and_expire_have_one_winner(world):
    asker = world.caller(world.allowing())
    firsts: Counter[str] = Counter()
    for turn in range(ENDS):
        action = held(world, asker)
        # Some are over before anybody can decide, some leave time, some end in the middle.
        left = dt.timedelta(milliseconds=(1, 15, 30, 60, 400)[turn % 5])
        PendingAction.objects.filter(pk=action.pk).update(expires_at=timezone.now() + left)

        def act(number, a=action):
            if number % 2:
                return decide(a.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now())
            for _ in range(8):
                expire_overdue(timezone.now())
            return None

        at_once(4, act)
        # Whatever nobody decided in time is over now.
        PendingAction.objects.filter(pk=action.pk, status=Status.PENDING).update(expires_at=Now())
        expire_overdue(timezone.now())
        told = AuditEvent.objects.about("pending_action", str(action.pk)).order_by("pk")
        types = [t for t in told.values_list("type", flat=True) if t in ("action.approved", "action.expired")]
        # One of the two moved it out of pending; what was approved may expire later, never the other way round.
        assert types in (["action.approved"], ["action.approved", "action.expired"], ["action.expired"])
        assert (types[0] == "action.approved") == Vote.objects.filter(pending_action=action).exists()
        firsts[types[0]] += 1
    assert sum(firsts.values()) == ENDS
    assert min(firsts["action.approved"], firsts["action.expired"]) > ENDS // 10  # vacuous otherwise


def test_quorum_of_two_is_reached_by_two_at_once(world):
    policy = world.policy(
        "p",
        {"tools": "*", "effect": "allow"},
        {"tools": "update_*", "effect": "require_approval", "quorum": 2},
    )
    asker, carol = world.caller(policy), world.person("carol", "operators")
    for _ in range(QUORUMS):
        action = held(world, asker)
        voters = [world.bob, carol]
        answers = at_once(
            2,
            lambda n, a=action.pk, v=voters: decide(a, v[n], approve=True, reason="", via="admin", now=timezone.now()),
        )
        assert not any(isinstance(a, Stop) for a in answers)
        action.refresh_from_db()
        assert action.status == Status.APPROVED


def test_a_quorum_of_two_for_a_proposal_is_reached_once(world):
    """Three vote at once where two are enough: one decision, and the third is told that it is decided."""
    policy = world.two_phase(waits=True, quorum=2)
    caller, carol, dave = world.caller(policy), world.person("carol", "operators"), world.person("dave", "operators")
    for _ in range(QUORUMS // 2):
        proposal_id = proposed(caller, ticket(world)).json()["proposal_id"]
        voters = [world.bob, carol, dave]
        answers = at_once(
            3,
            lambda n, p=proposal_id, v=voters: decide(
                p, v[n], approve=True, reason="", via="admin", now=timezone.now()
            ),
        )
        assert sorted(a.code if isinstance(a, Stop) else str(a.approvals) for a in answers) == [
            "1",
            "2",
            "already_decided",
        ]
    assert AuditEvent.objects.filter(type="action.approved").count() == QUORUMS // 2
    assert Vote.objects.count() == QUORUMS
