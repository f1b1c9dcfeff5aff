"""The second phase at the public door: every reason in its order, once only, and what each attempt leaves behind."""

import base64
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
import re
import uuid

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals.actions import decide
from approvals.commit_token import Claims, mint, verify
from approvals.models import Commit, Nonce, PendingAction, SigningKey
from approvals.signing_keys import revoke, rotate, signing_secret
from observatory.demo.models import Ticket
from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM
from tests.journeys.proposals import committed, proposed, refused, ticket
from tools.actions.policies import publish
from tools.models import IdempotencyRecord, Tool
from tools.scopes import Scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(world):
    return world.caller(world.two_phase())


@pytest.fixture
def proposal(world, caller):
    return proposed(caller, ticket(world)).json()


def test_a_commit_runs_once_and_says_what_came_of_it(world, caller, proposal):
    answer = committed(caller, proposal)
    body = answer.json()
    assert answer.status_code == 200
    assert body["status"] == "committed"
    assert body["result"]["ticket"]["title"] == "Late invoices"
    assert Commit.objects.get(pk=body["commit_id"]).accepted
    assert Nonce.objects.get().commit_id == uuid.UUID(body["commit_id"])
    refused(committed(caller, proposal), "nonce_replay", 409)
    assert Ticket.objects.count() == 1
    events = AuditEvent.objects.about("pending_action", proposal["proposal_id"]).order_by("pk")
    assert list(events.values_list("type", flat=True)) == [
        "action.requested",
        "action.approved",
        "token.issued",
        "action.executing",
        "action.done",
        "commit.refused",
    ]


def test_a_commit_takes_its_locks_in_the_documented_order(world, caller, proposal):
    """Whoever took them in another order could wait for this one for ever."""
    with CaptureQueriesContext(connection) as captured:
        assert committed(caller, proposal).status_code == 200
    locks = [re.search(r'FROM "?(\w+).* FOR (SHARE|UPDATE)', query["sql"]) for query in captured]
    assert [found.groups() for found in locks if found][:3] == [
        ("tools_policy", "SHARE"),
        ("approvals_pendingaction", "UPDATE"),
        ("approvals_signingkey", "SHARE"),
    ]


def test_the_same_idempotency_key_repeats_the_answer_and_runs_nothing(world, caller, proposal):
    first = committed(caller, proposal, Idempotency_Key="k-1")
    again = committed(caller, proposal, Idempotency_Key="k-1")
    assert [answer.json()["result"]["idempotent_replay"] for answer in (first, again)] == [False, True]
    assert again.json()["commit_id"] == first.json()["commit_id"]
    assert again.json()["result"]["ticket"] == first.json()["result"]["ticket"]
    assert (again.status_code, again["Idempotency-Replayed"]) == (200, "true")
    refused(committed(caller, proposal, Idempotency_Key="k-2"), "nonce_replay", 409)
    refused(committed(caller, proposal, Idempotency_Key="ö"), "invalid_parameter", 400)
    assert Ticket.objects.count() == 1
    with time_machine.travel(timezone.now() + dt.timedelta(hours=2)):
        assert committed(caller, proposal, Idempotency_Key="k-1").json() == again.json()


def test_the_trail_alone_says_with_which_token_it_ran(world, caller, proposal):
    """Also where there were two, since the first one's key was revoked."""
    revoke(_parts(proposal["commit_token"])[1], SYSTEM, timezone.now(), "leaked")
    fresh = caller.get(f"/proposals/{proposal['proposal_id']}").json()
    done = committed(caller, fresh).json()
    issued = [event.facts for event in AuditEvent.objects.filter(type="token.issued").order_by("pk")]
    ran = AuditEvent.objects.get(type="action.executing").facts
    assert [facts["proof_id"] for facts in issued] == [proposal["token_id"], fresh["token_id"]]
    assert (ran["commit_id"], ran["proof_id"]) == (done["commit_id"], issued[1]["proof_id"])


@pytest.mark.parametrize("title", ["Late invoices", "Another"])
def test_a_key_that_was_used_for_another_commit_is_refused(world, caller, proposal, title):
    committed(caller, proposal, Idempotency_Key="k-1")
    other = proposed(caller, ticket(world, title)).json()
    refused(committed(caller, other, Idempotency_Key="k-1"), "idempotency_key_reused", 422)
    assert committed(caller, other, Idempotency_Key="k-2").status_code == 200
    assert Ticket.objects.count() == 2


def test_a_key_of_a_direct_call_names_no_commit(world):
    """The same words under the same key, once called and held, once proposed: two intentions."""
    caller = world.caller(world.allowing("*", name="held"))
    Tool.objects.filter(name="create_ticket").update(requires_approval=True)
    assert caller.call("create_ticket", ticket(world), Idempotency_Key="k").json()["requires_confirmation"]
    body = proposed(caller, ticket(world)).json()
    decide(body["proposal_id"], world.bob, approve=True, reason="", via="admin", now=timezone.now())
    allowed = caller.get(f"/proposals/{body['proposal_id']}").json()
    answer = committed(caller, allowed, Idempotency_Key="k").json()
    assert (answer["status"], answer["result"]["ticket"]["title"]) == ("committed", "Late invoices")
    assert Ticket.objects.count() == 1


def test_a_key_repeats_nothing_to_those_whose_proposal_it_is_not(world, caller, proposal):
    other = world.caller(caller.key.policy, name="other", owner=world.charlie)
    theirs = proposed(other, ticket(world)).json()
    assert committed(other, theirs, Idempotency_Key="k").status_code == 200
    refused(committed(other, proposal, Idempotency_Key="k"), "unknown_proposal", 404)
    elsewhere = theirs | {"proposal_id": str(uuid.uuid4())}
    refused(committed(other, elsewhere, Idempotency_Key="k"), "unknown_proposal", 404)


def test_a_commit_under_a_key_that_runs_is_told_when_to_ask_again(world, caller, proposal):
    assert committed(caller, proposal, Idempotency_Key="k").status_code == 200
    IdempotencyRecord.objects.update(status="held", result=None)
    answer = committed(caller, proposal, Idempotency_Key="k")
    refused(answer, "idempotency_in_flight", 409)
    assert int(answer["Retry-After"]) >= 1


# the reasons, in their order


def test_every_reason_comes_before_those_after_it(world, caller, proposal):
    """One token, wrong in every way at once; then one thing after another is put right."""
    mine = PendingAction.objects.filter(pk=proposal["proposal_id"])
    other = world.caller(caller.key.policy, name="other", owner=world.charlie)
    wrong = ticket(world, "Other words")
    publish(caller.key.policy, SYSTEM)
    forged = proposal | {"commit_token": proposal["commit_token"][:-2] + "AA"}
    late = dt.datetime.fromisoformat(proposal["expires_at"])
    with time_machine.travel(late, tick=False):
        refused(committed(other, forged, wrong), "bad_signature", 401)
        refused(committed(other, proposal, wrong), "expired", 410)
    refused(committed(other, proposal, wrong), "unknown_proposal", 404)
    refused(committed(caller, proposal, wrong), "args_hash_mismatch", 422)
    mine.update(status="executing", fence=1, lease_until=timezone.now() + dt.timedelta(minutes=5))
    refused(committed(caller, proposal), "nonce_replay", 409)
    mine.update(status="pending", quorum=1, fence=0, lease_until=None)
    refused(committed(caller, proposal), "not_approved", 409)
    mine.update(status="approved")
    refused(committed(caller, proposal), "policy_changed", 409)
    assert Ticket.objects.count() == 0
    assert mine.get().status == "revoked"
    refused(committed(caller, proposal), "policy_changed", 409)


def _parts(token):
    return token.split(".")


def _with_claims(token, **changed):
    version, kid, claims, mac = _parts(token)
    found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))) | changed
    text = base64.urlsafe_b64encode(json.dumps(found).encode()).rstrip(b"=").decode()
    return f"{version}.{kid}.{text}.{mac}"


FORGERIES = {
    "empty": lambda t: "",
    "no token at all": lambda t: "hello",
    "another MAC": lambda t: t[:-4] + ("AAAA" if t[-4:] != "AAAA" else "BBBB"),
    "no MAC": lambda t: t.rpartition(".")[0] + ".",
    "another version": lambda t: "mo2" + t[3:],
    "another key": lambda t: ".".join([_parts(t)[0], "00000000", *_parts(t)[2:]]),
    "a longer life": lambda t: _with_claims(t, expires_at=9_999_999_999),
    "another tool": lambda t: _with_claims(t, tool_name="send_message"),
    "other arguments": lambda t: _with_claims(t, tool_args_hash="0" * 64),
    "padding": lambda t: t + "=",
    "a newline": lambda t: t + "\n",
    "a fifth part": lambda t: t + ".x",
    "not ASCII": lambda t: t[:-1] + "é",
    "huge": lambda t: t + "A" * 5000,
    "signed with the key's id": lambda t: _signed_by(t, _parts(t)[1].encode()),
    "signed with nothing": lambda t: _signed_by(t, b""),
}


def _signed_by(token, secret):
    signed = token.rpartition(".")[0]
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_token_has_one_answer_reads_no_proposal_and_costs_one_row(world, caller, proposal, how):
    token = FORGERIES[how](proposal["commit_token"])
    events = AuditEvent.objects.count()
    with CaptureQueriesContext(connection) as captured:
        answer = committed(caller, proposal | {"commit_token": token})
    body = refused(answer, "bad_signature", 401)
    assert set(body) == {"status", "commit_id", "reason", "detail"}
    statements = [q["sql"] for q in captured.captured_queries]
    assert not any("approvals_proposal" in s or "approvals_pendingaction" in s for s in statements)
    assert sum(s.startswith("INSERT") for s in statements) == 1
    assert AuditEvent.objects.count() == events
    assert Commit.objects.get(pk=body["commit_id"]).token_id is None
    assert committed(caller, proposal).status_code == 200


def test_every_forgery_of_a_missing_proposal_reads_as_one_of_a_real_one(world, caller, proposal):
    def answer(proposal_id):
        body = committed(caller, {**proposal, "proposal_id": proposal_id, "commit_token": "mo1.a.b.c"}).json()
        return {name: value for name, value in body.items() if name != "commit_id"}

    assert answer(proposal["proposal_id"]) == answer(str(uuid.uuid4())) == answer("nonsense")


def test_a_token_of_another_environment_is_a_forgery(world, caller, proposal, settings):
    settings.ENVIRONMENT = "staging"
    refused(committed(caller, proposal), "bad_signature", 401)
    settings.ENVIRONMENT = "test"
    assert committed(caller, proposal).status_code == 200


def test_a_genuine_mac_over_claims_of_another_environment_is_refused(world, caller, proposal):
    genuine = verify(proposal["commit_token"])
    key = SigningKey.objects.get()
    assert mint(genuine.claims, key.kid, signing_secret(key)) == proposal["commit_token"]
    elsewhere = mint(dataclasses.replace(genuine.claims, env="production"), key.kid, signing_secret(key))
    refused(committed(caller, proposal | {"commit_token": elsewhere}), "bad_signature", 401)


def test_the_claims_are_the_ones_that_are_on_the_wire(world, caller, proposal):
    claims = json.loads(base64.urlsafe_b64decode(_parts(proposal["commit_token"])[2] + "=="))
    assert set(claims) == {field.name for field in dataclasses.fields(Claims)}
    assert {"token_id", "proposal_id", "tool_name", "tool_args_hash", "issued_at", "expires_at", "nonce"} <= set(claims)
    assert claims["composite_score"] == 0
    assert (claims["env"], claims["agent_key"]) == ("test", caller.key.public_id)


def test_a_token_counts_for_its_own_proposal_and_tool_only(world, caller, proposal):
    other = proposed(caller, ticket(world)).json()
    crossed = other | {"commit_token": proposal["commit_token"]}
    refused(committed(caller, crossed), "unknown_proposal", 404)
    flat = {"channel": "#a", "message": "hi", "proposal_id": proposal["proposal_id"]}
    policy = world.two_phase("create_ticket", "send_message", name="both")
    both = world.caller(policy, name="both")
    theirs = proposed(both, ticket(world)).json()
    flat |= {"proposal_id": theirs["proposal_id"], "commit_token": theirs["commit_token"]}
    refused(both.call("send_message_commit", flat), "unknown_proposal", 404)
    assert Ticket.objects.count() == 0


def test_another_agent_can_not_tell_a_stolen_token_from_an_unknown_proposal(world, caller, proposal):
    other = world.caller(caller.key.policy, name="other", owner=world.charlie)
    stolen = refused(committed(other, proposal), "unknown_proposal", 404)
    missing = refused(committed(other, proposal | {"proposal_id": str(uuid.uuid4())}), "unknown_proposal", 404)
    assert {**stolen, "commit_id": 0} == {**missing, "commit_id": 0}
    assert committed(caller, proposal).status_code == 200


def test_a_key_that_may_not_see_the_tool_neither_reads_nor_commits_its_proposals(world, caller, proposal):
    for number, policy in enumerate((None, world.allowing("search_customer", name="reads"))):
        second = world.caller(policy)
        assert second.key.agent_id == caller.key.agent_id, number
        assert second.get(f"/proposals/{proposal['proposal_id']}").status_code == 404
        refused(committed(second, proposal), "unknown_proposal", 404)
    assert committed(caller, proposal).status_code == 200


def test_a_second_key_of_the_same_agent_may_commit(world, caller, proposal):
    again = world.caller(caller.key.policy)
    assert again.key.agent_id == caller.key.agent_id
    assert committed(again, proposal).status_code == 200
    assert Commit.objects.get(accepted=True).agent_key_id == again.key.pk
    assert AuditEvent.objects.get(type="action.executing").actor_id == again.key.public_id


# the key ring


def test_a_retired_signing_key_signs_no_more_and_its_tokens_are_honoured(world, caller, proposal):
    rotate(SYSTEM, timezone.now())
    assert committed(caller, proposal).status_code == 200
    second = proposed(caller, ticket(world)).json()
    assert _parts(second["commit_token"])[1] != _parts(proposal["commit_token"])[1]
    assert committed(caller, second).status_code == 200


def test_a_revoked_signing_keys_tokens_are_forgeries_and_the_agent_is_given_another(world, caller, proposal):
    kid = _parts(proposal["commit_token"])[1]
    revoke(kid, SYSTEM, timezone.now(), "leaked")
    refused(committed(caller, proposal), "bad_signature", 401)
    fresh = caller.get(f"/proposals/{proposal['proposal_id']}").json()
    assert _parts(fresh["commit_token"])[1] != kid
    assert committed(caller, fresh).status_code == 200
    assert Ticket.objects.count() == 1


def test_a_token_that_a_retired_master_secret_signed_is_honoured_while_it_is_listed(world, caller, proposal, settings):
    old, settings.MASTER_SECRET = settings.MASTER_SECRET, "n" * 48
    refused(committed(caller, proposal), "bad_signature", 401)
    settings.MASTER_SECRETS_RETIRED = [old]
    assert committed(caller, proposal).status_code == 200


# keys and bodies


def test_a_commit_needs_a_key_with_the_scope(world, caller, proposal):
    reader = world.caller(caller.key.policy, scopes=[Scope.AUDIT_READ])
    assert committed(reader, proposal).json()["code"] == "scope_missing"
    answer = committed(caller, proposal, X_API_Key="mo_test_nope")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert Commit.objects.count() == 0


BODIES = [{}, {"commit_token": 7}, {"commit_token": "x", "args": []}, {"commit_token": "x", "arguments": {}}]


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_is_no_commit_is_a_problem_document_and_no_attempt(world, caller, proposal, body):
    answer = caller.post(f"/proposals/{proposal['proposal_id']}/commit", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert Commit.objects.count() == 0


def test_a_tool_that_refuses_its_input_has_its_reason_and_the_token_is_spent(world, caller):
    proposal = proposed(caller, {"customer_id": 999_999, "title": "Nobody"}).json()
    answer = committed(caller, proposal)
    assert (answer.status_code, answer.json()["code"]) == (422, "tool_error")
    assert uuid.UUID(answer.json()["commit_id"])
    stands = caller.get(f"/proposals/{proposal['proposal_id']}").json()
    assert (stands["status"], stands["reason"]) == ("failed", "tool_error")
    refused(committed(caller, proposal), "nonce_replay", 409)


def test_an_approval_by_the_wrong_door_does_not_make_a_token(world):
    waiting = world.caller(world.two_phase(waits=True, quorum=2))
    body = proposed(waiting, ticket(world)).json()
    decide(body["proposal_id"], world.bob, approve=True, reason="", via="admin", now=timezone.now())
    stands = waiting.get(f"/proposals/{body['proposal_id']}").json()
    assert (stands["status"], stands["approvals_needed"]) == ("pending_approval", 2)
    assert "commit_token" not in stands
