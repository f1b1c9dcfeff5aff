"""What was cut off after its burn: carried on where the tool may be called twice and nothing changed, else unknown."""

import datetime as dt

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from approvals.models import PendingAction
from approvals.states import Status
from approvals.transitions import MOST_RUNS, record_result, take_over
from observatory.demo.models import Ticket
from observatory.tasks import recover_actions
from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM
from tests.journeys.proposals import committed, proposed, ticket
from tests.races.lapsing import lapse, run_out
from tools.actions.policies import publish
from tools.actions.switches import engage
from tools.idempotency import store_answer
from tools.models import KillSwitch, Tool

pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(world):
    Tool.objects.filter(name="create_ticket").update(idempotent=True)
    return world.caller(world.two_phase())


@pytest.fixture
def proposal(world, caller):
    return proposed(caller, ticket(world)).json()


def stands(proposal):
    action = PendingAction.objects.get(pk=proposal["proposal_id"])
    return action.status, action.fence, Ticket.objects.count()


def events(proposal):
    rows = AuditEvent.objects.about("pending_action", proposal["proposal_id"]).order_by("pk")
    return list(rows.filter(type__startswith="action.").values_list("type", flat=True))[2:]


def test_a_run_of_an_idempotent_tool_goes_on_once_under_the_next_fence(caller, proposal):
    first = run_out(proposal["proposal_id"])
    assert (recover_actions(), stands(proposal)) == (1, ("done", 2, 1))
    assert events(proposal) == ["action.executing", "action.retried", "action.done"]
    assert (recover_actions(), stands(proposal)) == (0, ("done", 2, 1))
    # The first run comes back after all: its fence is stale.
    late = store_answer({"late": True}, "", {}, timezone.now())
    assert not record_result(first, Status.FAILED, "tool_error", late, timezone.now())
    assert caller.get(f"/proposals/{proposal['proposal_id']}").json()["status"] == "committed"
    assert committed(caller, proposal).json()["reason"] == "nonce_replay"


def test_a_run_within_its_lease_is_left_alone(caller, proposal):
    run_out(proposal["proposal_id"])
    PendingAction.objects.update(lease_until=Now() + dt.timedelta(seconds=60))
    assert (recover_actions(), stands(proposal)) == (0, ("executing", 1, 0))


HINDRANCES = {
    "the tool is not idempotent": lambda caller: Tool.objects.filter(name="create_ticket").update(idempotent=False),
    "another policy": lambda caller: publish(caller.key.policy, SYSTEM),
    "a freeze": lambda caller: engage(KillSwitch(scope="everything", reason="INC-7"), SYSTEM),
}


@pytest.mark.parametrize("hindrance", HINDRANCES)
def test_what_may_not_go_on_is_unknown(caller, proposal, hindrance):
    run_out(proposal["proposal_id"])
    HINDRANCES[hindrance](caller)
    assert take_over(proposal["proposal_id"], timezone.now()) is None
    assert (recover_actions(), stands(proposal)) == (1, ("unknown", 1, 0))
    assert events(proposal) == ["action.executing", "action.unknown"]
    assert (recover_actions(), stands(proposal)) == (0, ("unknown", 1, 0))


def test_what_was_cut_off_as_often_as_may_be_is_unknown(proposal):
    run_out(proposal["proposal_id"])
    PendingAction.objects.update(fence=MOST_RUNS - 1)
    assert (recover_actions(), stands(proposal)) == (1, ("done", 3, 1))
    PendingAction.objects.update(status="executing")
    lapse(proposal["proposal_id"])
    assert (recover_actions(), stands(proposal)) == (1, ("unknown", 3, 1))


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_commits_idempotency_key_is_told_what_became_of_a_run_that_was_cut_off(
    caller, proposal, monkeypatch, idempotent
):
    Tool.objects.filter(name="create_ticket").update(idempotent=idempotent)

    class CutOffError(BaseException):
        """The process is gone."""

    def cut_off(*args):
        raise CutOffError

    with monkeypatch.context() as patch:
        patch.setattr("observatory.committed.run_permitted", cut_off)
        with pytest.raises(CutOffError):
            committed(caller, proposal, Idempotency_Key="k")
    running = committed(caller, proposal, Idempotency_Key="k")
    assert (running.status_code, running.json()["reason"]) == (409, "idempotency_in_flight")
    lapse(proposal["proposal_id"])
    recover_actions()
    again = committed(caller, proposal, Idempotency_Key="k")
    if idempotent:
        assert (again.status_code, again.json()["status"]) == (200, "committed")
        assert again["Idempotency-Replayed"] == "true"
    else:
        assert (again.status_code, again.json()["code"]) == (409, "outcome_unknown")
    assert Ticket.objects.count() == idempotent
