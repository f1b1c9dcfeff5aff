"""Committing what was proposed, by many at once: one effect, one nonce, and a true reason for everybody else."""

import threading
from collections import Counter

import pytest
from django.utils import timezone

from approvals.actions import Decided, decide, recover_lapsed, revoke_what_changed
from approvals.models import Commit, CommitToken, Nonce, PendingAction, SigningKey, Vote
from approvals.signing_keys import revoke, rotate
from approvals.states import Status
from approvals.tasks import sweep_nonces
from observatory.approved import carry_on_lapsed
from observatory.demo.models import Ticket
from observatory.groups import OPERATORS
from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM
from tests.journeys.proposals import committed, proposed, ticket
from tests.races.lapsing import past, run_out
from tests.races.threads import at_once
from tools.actions.policies import publish
from tools.contract import Stop
from tools.models import Tool

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
ROUNDS, THREADS = 40, 16


def word(answer):
    """What a commit came to: `committed`, `replayed`, or its reason."""
    body = answer.json()
    if answer.status_code == 200:
        return "replayed" if answer.headers.get("Idempotency-Replayed") else body["status"]
    return body.get("reason") or body["code"]


def events(type_):
    return AuditEvent.objects.filter(type=type_)


@pytest.mark.slow
def test_sixteen_commits_of_one_token_run_it_once(world):
    caller, words = world.caller(world.two_phase()), Counter()
    for turn in range(ROUNDS):
        proposal = proposed(caller, ticket(world, f"Turn {turn}")).json()
        words.update(at_once(THREADS, lambda n, p=proposal: word(committed(caller, p))))
    assert words == {"committed": ROUNDS, "nonce_replay": ROUNDS * (THREADS - 1)}
    assert Ticket.objects.count() == Ticket.objects.values("title").distinct().count() == ROUNDS
    assert Commit.objects.filter(accepted=True).count() == Nonce.objects.count() == ROUNDS
    assert Commit.objects.filter(reason="nonce_replay").count() == ROUNDS * (THREADS - 1)
    assert events("action.executing").count() == events("action.done").count() == ROUNDS


def test_sixteen_commits_with_one_idempotency_key_run_it_once(world):
    caller, words, rounds = world.caller(world.two_phase()), Counter(), 6
    for turn in range(rounds):
        proposal, key = proposed(caller, ticket(world)).json(), f"turn-{turn}"
        words.update(
            at_once(THREADS, lambda n, p=proposal, k=key: word(committed(caller, p, Idempotency_Key=k))),
        )
        assert word(committed(caller, proposal, Idempotency_Key=key)) == "replayed"
    assert words["committed"] == Ticket.objects.count() == rounds
    assert set(words) <= {"committed", "replayed", "nonce_replay", "idempotency_in_flight"}
    assert sum(words.values()) == rounds * THREADS


def test_sixteen_tokens_of_one_idempotency_key_run_one_of_them(world):
    caller = world.caller(world.two_phase())
    proposals = [proposed(caller, ticket(world, "The same words")).json() for _ in range(THREADS)]
    words = Counter(at_once(THREADS, lambda n: word(committed(caller, proposals[n], Idempotency_Key="one"))))
    assert words["committed"] == Ticket.objects.count() == Nonce.objects.count() == 1
    # Another proposal is another intention: its commit is refused, whether the first is seen running or done.
    assert set(words) <= {"committed", "idempotency_key_reused", "idempotency_in_flight"}


@pytest.mark.slow
def test_sixteen_looks_at_an_approved_proposal_find_one_token_that_works_once(world):
    caller = world.caller(world.two_phase(waits=True))
    for _ in range(4):
        body = proposed(caller, ticket(world)).json()
        decide(body["proposal_id"], world.bob, approve=True, reason="", via="admin", now=timezone.now())
        path = f"/proposals/{body['proposal_id']}"
        found = at_once(THREADS, lambda n, p=path: caller.get(p).json())
        assert len({allowed["commit_token"] for allowed in found}) == 1
        assert CommitToken.objects.filter(proposal_id=body["proposal_id"]).count() == 1
        words = Counter(at_once(THREADS, lambda n, f=found: word(committed(caller, f[n]))))
        assert words == {"committed": 1, "nonce_replay": THREADS - 1}
    assert Ticket.objects.count() == 4


def test_a_decision_and_looks_at_once_issue_no_token_before_the_approval(world):
    caller = world.caller(world.two_phase(waits=True))
    for _ in range(8):
        proposal_id = proposed(caller, ticket(world)).json()["proposal_id"]

        def act(number, wanted=proposal_id):
            if number == 0:
                decide(wanted, world.bob, approve=True, reason="", via="admin", now=timezone.now())
                return {}
            return caller.get(f"/proposals/{wanted}").json()

        found = [body for body in at_once(6, act) if body]
        assert all(("commit_token" in body) == (body["status"] == "allowed") for body in found)
        types = list(AuditEvent.objects.about("pending_action", proposal_id).order_by("pk").values_list("type"))
        assert types.count(("token.issued",)) <= 1


@pytest.mark.slow
def test_sixteen_people_who_disagree_about_a_proposal_decide_it_once(world):
    """Half approve and half reject at once: one vote decides, and everybody else is told that it is decided."""
    caller = world.caller(world.two_phase(waits=True))
    people = [world.person(f"voter-{number}", OPERATORS) for number in range(THREADS)]
    winners = Counter()
    for turn in range(12):
        proposal_id = proposed(caller, ticket(world)).json()["proposal_id"]

        def act(number, wanted=proposal_id, approves=turn % 2):
            approve = number % 2 == approves
            return decide(wanted, people[number], approve=approve, reason="", via="admin", now=timezone.now())

        answers = at_once(THREADS, act)
        decided = [answer for answer in answers if isinstance(answer, Decided)]
        assert Counter(a.code for a in answers if isinstance(a, Stop)) == {"already_decided": THREADS - 1}
        vote = Vote.objects.get(pending_action_id=proposal_id)
        assert [answer.approved for answer in decided] == [vote.approve]
        stands = caller.get(f"/proposals/{proposal_id}").json()
        assert (stands["status"], "commit_token" in stands) == (
            ("allowed", True) if vote.approve else ("rejected", False)
        )
        types = AuditEvent.objects.about("pending_action", proposal_id).values_list("type", flat=True)
        assert len({"action.approved", "action.rejected"} & set(types)) == 1
        winners[vote.approve] += 1
    assert sum(winners.values()) == events("action.approved").count() + events("action.rejected").count() == 12


class Change:
    """An act, and whether it had returned."""

    def __init__(self, act):
        self.act, self.returned = act, threading.Event()

    def __call__(self):
        self.act()
        self.returned.set()


def race_a_change(caller, proposals, before, change):
    """(word, had the change returned when this commit began) of each commit of `proposals`.

    Number 0 commits what is in `before`, to let time pass; then makes the change; then commits like the others.
    """

    def act(number):
        if number == 0:
            for proposal in before:
                assert word(committed(caller, proposal)) == "committed"
            change()
        late = change.returned.is_set()
        return word(committed(caller, proposals[number])), late

    return at_once(len(proposals), act)


CHANGES = {
    "policy_changed": lambda caller, kid: publish(caller.key.policy, SYSTEM),
    "bad_signature": lambda caller, kid: revoke(kid, SYSTEM, timezone.now(), "leaked"),
}


@pytest.mark.slow
@pytest.mark.parametrize("code", CHANGES)
def test_after_a_change_returned_no_commit_of_before_succeeds(world, code):
    caller, seen, rounds = world.caller(world.two_phase()), Counter(), 9
    for turn in range(rounds):
        proposals = [proposed(caller, ticket(world)).json() for _ in range(6 + turn % 3)]
        kid = proposals[0]["commit_token"].split(".")[1]
        proposals, before = proposals[:6], proposals[6:]
        found = race_a_change(caller, proposals, before, Change(lambda k=kid: CHANGES[code](caller, k)))
        seen["before"] += len(before)
        assert found[0] == (code, True)
        assert {w for w, late in found if late} == {code}
        assert {w for w, _ in found} <= {code, "committed"}
        seen.update(w for w, _ in found)
        # Revoking a signing key leaves what was not burnt to the agent's next look.
        PendingAction.objects.filter(status=Status.APPROVED).update(status=Status.REVOKED)
    assert Ticket.objects.count() == Nonce.objects.count() == seen["committed"] + seen["before"]
    # Vacuous otherwise: commits must have won against the change at times.
    assert seen["committed"] > 0
    assert seen[code] > rounds


@pytest.mark.parametrize("code", CHANGES)
def test_a_change_waits_for_a_burn_under_way(world, code):
    """The burn holds its locks until it is committed: the change can't return before it, and pass it by."""
    from django.db import connection, transaction

    from approvals.signing_keys import is_honoured_for_now
    from approvals.transitions import locked_for_burn

    caller = world.caller(world.two_phase())
    proposal = proposed(caller, ticket(world)).json()
    kid = proposal["commit_token"].split(".")[1]
    done = threading.Event()

    def change():
        try:
            CHANGES[code](caller, kid)
            done.set()
        finally:
            connection.close()

    thread = threading.Thread(target=change)
    with transaction.atomic():
        locked_for_burn(proposal["proposal_id"])
        assert is_honoured_for_now(kid)
        thread.start()
        thread.join(0.4)
        assert not done.is_set(), "the change did not wait"
    thread.join(10)
    assert done.is_set()
    assert word(committed(caller, proposal)) == code


def test_eight_rotations_at_once_leave_one_key_that_signs(world):
    caller = world.caller(world.two_phase())
    before = proposed(caller, ticket(world)).json()
    made = at_once(8, lambda n: rotate(SYSTEM, timezone.now()).kid)
    assert len(set(made)) == 8
    assert SigningKey.objects.filter(status="active").count() == 1
    assert (events("signing_key.created").count(), events("signing_key.retired").count()) == (9, 8)
    assert word(committed(caller, before)) == "committed"


def test_eight_first_proposals_at_once_share_the_first_signing_key(world):
    caller = world.caller(world.two_phase())
    bodies = at_once(8, lambda n: proposed(caller, ticket(world)).json())
    assert SigningKey.objects.count() == events("signing_key.created").count() == 1
    assert at_once(8, lambda n: word(committed(caller, bodies[n]))) == ["committed"] * 8


def test_two_sweeps_at_once_settle_each_action_once(world):
    caller = world.caller(world.two_phase())
    cut_off = [proposed(caller, ticket(world)).json() for _ in range(6)]
    for body in cut_off:
        run_out(body["proposal_id"])
    assert sum(at_once(4, lambda n: recover_lapsed(timezone.now()))) == events("action.unknown").count() == 6

    changed = [proposed(caller, ticket(world)).json() for _ in range(6)]
    publish(caller.key.policy, SYSTEM)
    assert sum(at_once(4, lambda n: revoke_what_changed(timezone.now()))) == events("action.revoked").count() == 6
    statuses = PendingAction.objects.filter(pk__in=[b["proposal_id"] for b in changed]).values_list("status", flat=True)
    assert set(statuses) == {"revoked"}


def test_two_sweeps_at_once_carry_a_run_on_once(world):
    Tool.objects.filter(name="create_ticket").update(idempotent=True)
    caller = world.caller(world.two_phase())
    for _ in range(6):
        run_out(proposed(caller, ticket(world)).json()["proposal_id"])
    assert sum(at_once(4, lambda n: carry_on_lapsed())) == 6
    assert events("action.retried").count() == events("action.done").count() == Ticket.objects.count() == 6


def test_two_sweeps_at_once_drop_each_spent_nonce_once_and_no_replay_passes(world):
    caller = world.caller(world.two_phase())
    spent = [proposed(caller, ticket(world)).json() for _ in range(6)]
    assert [word(committed(caller, body)) for body in spent] == ["committed"] * 6
    Nonce.objects.update(expires_at=past())

    def act(number):
        return sweep_nonces() if number < 2 else word(committed(caller, spent[number - 2]))

    swept = at_once(8, act)
    assert swept[0] + swept[1] == 6
    assert swept[2:] == ["nonce_replay"] * 6
    assert Ticket.objects.count() == 6
