"""Genuine tokens that no proposal was given, or that were overtaken while a commit waited: they spend nothing."""

import dataclasses
import datetime as dt
import threading

import pytest
from django.db import connection, transaction
from django.utils import timezone

from approvals.actions import decide
from approvals.commit_token import mint, verify
from approvals.models import Commit, CommitToken, Nonce, PendingAction, SigningKey
from approvals.signing_keys import revoke, signing_secret
from approvals.states import Status
from approvals.transitions import end
from observatory.demo.models import Ticket
from telemetry.recorder import SYSTEM
from tests.journeys.proposals import APART, committed, proposed, ticket


def minted(like, **claims):
    """A token signed by the key that signs, whose claims are another's but for these."""
    key = SigningKey.objects.get(status="active")
    return mint(dataclasses.replace(verify(like).claims, **claims), key.kid, signing_secret(key))


NEVER = {
    "a blocked proposal": (APART, "unknown_proposal", 404),
    "a proposal that waits": (None, "not_approved", 409),
}


@pytest.mark.django_db
@pytest.mark.parametrize("of", NEVER)
def test_a_genuine_token_for_what_was_given_none_runs_nothing(world, of):
    outputs, code, status = NEVER[of]
    caller = world.caller(world.two_phase())
    model = proposed(caller, ticket(world)).json()["commit_token"]
    if outputs is None:
        caller = world.caller(world.two_phase(name="waits", waits=True))
    found = proposed(caller, ticket(world), *([outputs] if outputs else [])).json()
    token = minted(model, proposal_id=found["proposal_id"], nonce="n" * 43)
    answer = committed(caller, {**found, "commit_token": token})
    assert (answer.status_code, answer.json()["reason"]) == (status, code)
    assert (Ticket.objects.count(), Nonce.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_a_held_call_is_no_proposal_whatever_a_token_says(world):
    """An approved held call is run by the workers only."""
    caller = world.caller(world.two_phase())
    token = proposed(caller, ticket(world)).json()["commit_token"]
    asked = {"customer_id": world.acme.pk, "new_status": "vip"}
    held = caller.call("update_customer_status", asked).json()["pending_action_id"]
    decide(held, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    action = PendingAction.objects.get(pk=held)
    genuine = minted(
        token, proposal_id=held, tool_name="update_customer_status", tool_args_hash=action.args_digest, nonce="n" * 43
    )
    answer = committed(caller, {"proposal_id": held, "commit_token": genuine, "tool_args": asked})
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown_proposal")
    assert PendingAction.objects.get(pk=held).status == "approved"


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_a_signing_key_that_is_revoked_while_a_commit_waits_counts_no_more(world):
    """The commit had verified its token; the burn asks the ring again, under its locks."""
    caller, answers = world.caller(world.two_phase()), []
    proposal = proposed(caller, ticket(world)).json()

    def later():
        try:
            answers.append(committed(caller, proposal).json())
        finally:
            connection.close()

    thread = threading.Thread(target=later)
    with transaction.atomic():
        PendingAction.objects.select_for_update().get(pk=proposal["proposal_id"])
        thread.start()
        thread.join(0.7)
        assert thread.is_alive(), "the commit did not wait"
        revoke(proposal["commit_token"].split(".")[1], SYSTEM, timezone.now(), "leaked")
    thread.join(10)
    assert [answer["reason"] for answer in answers] == ["bad_signature"]
    assert (Ticket.objects.count(), Nonce.objects.count()) == (0, 0)
    # Nothing was decided by it: the agent's next look has a token that works.
    fresh = caller.get(f"/proposals/{proposal['proposal_id']}").json()
    assert committed(caller, fresh).json()["status"] == "committed"


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_a_commit_that_waited_past_the_expiry_burns_nothing(world):
    caller, answers = world.caller(world.two_phase()), []
    proposal = proposed(caller, ticket(world)).json()

    def later():
        try:
            answers.append(committed(caller, proposal).json())
        finally:
            connection.close()

    thread = threading.Thread(target=later)
    with transaction.atomic():
        row = PendingAction.objects.select_for_update().get(pk=proposal["proposal_id"])
        ends = timezone.now() + dt.timedelta(milliseconds=900)
        PendingAction.objects.filter(pk=row.pk).update(expires_at=ends)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "the commit did not wait"
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep_until(%s)", [ends + dt.timedelta(milliseconds=100)])
    thread.join(10)
    assert [answer["reason"] for answer in answers] == ["expired"]
    assert not Commit.objects.filter(accepted=True).exists()
    assert CommitToken.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_a_commit_that_waited_is_told_what_happened_meanwhile(world):
    """The action is read again once it is locked: what it was before is not what is judged."""
    caller, answers = world.caller(world.two_phase()), []
    proposal = proposed(caller, ticket(world)).json()

    def later():
        try:
            answers.append(committed(caller, proposal).json())
        finally:
            connection.close()

    thread = threading.Thread(target=later)
    with transaction.atomic():
        row = PendingAction.objects.select_for_update().get(pk=proposal["proposal_id"])
        thread.start()
        thread.join(0.7)
        assert thread.is_alive(), "the commit did not wait"
        assert end(row, Status.APPROVED, Status.REVOKED, timezone.now(), code="tool_changed")
    thread.join(10)
    assert [answer["reason"] for answer in answers] == ["tool_changed"]
    assert (Ticket.objects.count(), Nonce.objects.count()) == (0, 0)
