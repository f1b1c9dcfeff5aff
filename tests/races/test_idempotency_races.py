"""One key, many callers: one effect, and every caller is told the truth."""

from collections import Counter

import pytest

from observatory.demo.models import Ticket
from tests.races.threads import at_once
from tools.models import IdempotencyRecord

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
ROUNDS, THREADS = 8, 16


def test_sixteen_callers_of_one_key_make_one_ticket(world):
    caller = world.caller(world.allowing())
    arguments = {"customer_id": world.acme.pk, "title": "Only once"}
    answers: Counter[str] = Counter()
    for turn in range(ROUNDS):

        def call(number, key=f"turn-{turn}"):
            answer = caller.call("create_ticket", arguments, Idempotency_Key=key)
            body = answer.json()
            return body.get("code") or ("replayed" if body["idempotent_replay"] else "ran")

        answers.update(at_once(THREADS, call))

    assert Ticket.objects.count() == ROUNDS
    assert answers["ran"] == ROUNDS
    assert sum(answers.values()) == ROUNDS * THREADS
    assert set(answers) <= {"ran", "replayed", "idempotency_in_flight"}
    # Vacuous otherwise: the losers must have met the winner.
    assert answers["replayed"] + answers["idempotency_in_flight"] == ROUNDS * (THREADS - 1)
    assert set(IdempotencyRecord.objects.values_list("status", flat=True)) == {"done"}


def test_one_key_with_two_payloads_runs_one_of_them(world):
    caller = world.caller(world.allowing())

    def call(number):
        arguments = {"customer_id": world.acme.pk, "title": f"Payload {number % 2}"}
        return caller.call("create_ticket", arguments, Idempotency_Key="k").json().get("code", "ok")

    answers = Counter(at_once(THREADS, call))
    assert Ticket.objects.count() == 1
    assert answers["idempotency_key_reused"] == THREADS // 2


def test_one_key_of_a_held_call_makes_one_pending_action(world):
    from approvals.models import PendingAction

    caller = world.caller(world.allowing())
    arguments = {"customer_id": world.acme.pk, "new_status": "vip"}
    bodies = at_once(THREADS, lambda n: caller.call("update_customer_status", arguments, Idempotency_Key="k").json())
    action = PendingAction.objects.get()
    assert {body["pending_action_id"] for body in bodies} == {str(action.pk)}


def test_rotation_repeats_nothing(world):
    """The key names the agent's intention, whichever credential it is sent with."""
    policy = world.allowing()
    old, new = world.caller(policy), world.caller(policy)
    assert old.key.agent == new.key.agent
    arguments = {"customer_id": world.acme.pk, "title": "Only once"}
    first = old.call("create_ticket", arguments, Idempotency_Key="k").json()
    again = new.call("create_ticket", arguments, Idempotency_Key="k").json()
    assert (again["ticket"], again["idempotent_replay"]) == (first["ticket"], True)
