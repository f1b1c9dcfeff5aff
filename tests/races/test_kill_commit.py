"""kill -9 at each point of a commit: what was burnt stays burnt, the effect happens at most once, or once more where
the tool may be called twice; and what nobody can know is said to be unknown."""

import json
import os
import subprocess
import sys

import pytest

from approvals.models import Commit, Nonce, PendingAction
from observatory.demo.models import Ticket
from observatory.tasks import recover_actions, run_approved_actions
from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM
from tests.journeys.proposals import committed, proposed, ticket
from tests.races.dying_commit import POINTS
from tests.races.lapsing import lapse
from tests.serving import database_url
from tools.actions.policies import publish
from tools.models import Tool

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race, pytest.mark.slow]
TIMES, SIGKILL = 8, 9
# Whether the effect happened, and where the action stands afterwards.
EXPECTED = dict(zip(POINTS, [(0, "executing"), (0, "executing"), (1, "executing"), (1, "done")], strict=True))


def dies(point, *runs):
    """Every run was killed at the point."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.races.dying_commit"],
        input=json.dumps({"point": point, "runs": runs}),
        env=os.environ | {"DATABASE_URL": database_url()},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == [SIGKILL] * len(runs), done.stderr[-3000:]


def events(proposal_id):
    rows = AuditEvent.objects.about("pending_action", proposal_id).filter(type__startswith="action.").order_by("pk")
    return [type_.removeprefix("action.") for type_ in rows.values_list("type", flat=True)]


def status_of(proposal):
    return PendingAction.objects.get(pk=proposal["proposal_id"]).status


def effects_of(proposal):
    return Ticket.objects.filter(title=proposal["tool_args"]["title"]).count()


@pytest.fixture
def caller(world):
    return world.caller(world.two_phase())


@pytest.fixture
def proposals(world, caller):
    """Several, each with its own title, so that effects can be told apart, and half of them with an idempotency key."""
    bodies = [proposed(caller, ticket(world, f"Number {n}")).json() for n in range(TIMES)]
    keys = [{"idempotency_key": f"commit-{n}"} if n % 2 else {} for n in range(TIMES)]
    return [body | {"secret": caller.secret} | key for body, key in zip(bodies, keys, strict=True)]


@pytest.fixture
def idempotent(world):
    Tool.objects.filter(name="create_ticket").update(idempotent=True)


def repeated(caller, proposal):
    key = proposal.get("idempotency_key")
    return committed(caller, proposal, **({"Idempotency_Key": key} if key else {}))


def assert_never_again(caller, proposal, effects):
    """Whoever tries: the same token, and every sweep."""
    answer = committed(caller, proposal)
    assert (answer.status_code, answer.json()["reason"]) == (409, "nonce_replay")
    run_approved_actions()
    recover_actions()
    assert effects_of(proposal) == effects
    stands = caller.get(f"/proposals/{proposal['proposal_id']}").json()
    assert "commit_token" not in stands


@pytest.mark.parametrize("point", POINTS)
def test_what_was_killed_is_never_approved_again_and_never_runs_twice(caller, proposals, point):
    effects, status = EXPECTED[point]
    dies(point, *proposals)
    assert Commit.objects.filter(accepted=True).count() == Nonce.objects.count() == TIMES
    for proposal in proposals:
        assert (effects_of(proposal), status_of(proposal)) == (effects, status)
        assert_never_again(caller, proposal, effects)
        assert status_of(proposal) == status
        if "idempotency_key" in proposal:
            answer = repeated(caller, proposal)
            assert (answer.status_code == 200) == (status == "done")
            assert status == "done" or answer.json()["reason"] == "idempotency_in_flight"
    if status == "executing":
        for proposal in proposals:
            lapse(proposal["proposal_id"])
    assert recover_actions() == (TIMES if status == "executing" else 0)
    for proposal in proposals:
        ended = "done" if status == "done" else "unknown"
        assert status_of(proposal) == ended
        assert events(proposal["proposal_id"]) == ["requested", "approved", "executing", ended]
        assert_never_again(caller, proposal, effects)
        if "idempotency_key" in proposal and ended == "unknown":
            answer = repeated(caller, proposal)
            assert (answer.status_code, answer.json()["code"]) == (409, "outcome_unknown")


@pytest.mark.usefixtures("idempotent")
@pytest.mark.parametrize("point", POINTS[:3])
def test_a_run_of_an_idempotent_tool_is_carried_on_once(caller, proposals, point):
    effects, _ = EXPECTED[point]
    dies(point, *proposals)
    assert recover_actions() == 0
    for proposal in proposals:
        lapse(proposal["proposal_id"])
    assert (recover_actions(), recover_actions()) == (TIMES, 0)
    for proposal in proposals:
        assert effects_of(proposal) == effects + 1
        action = PendingAction.objects.get(pk=proposal["proposal_id"])
        assert (action.status, action.fence) == ("done", 2)
        assert events(action.pk) == ["requested", "approved", "executing", "retried", "done"]
        assert_never_again(caller, proposal, effects + 1)
        stands = caller.get(f"/proposals/{proposal['proposal_id']}").json()
        assert stands["result"]["ticket"]["title"] == proposal["tool_args"]["title"]
        if "idempotency_key" in proposal:
            answer = repeated(caller, proposal)
            assert (answer.status_code, answer["Idempotency-Replayed"]) == (200, "true")
            assert answer.json()["result"]["ticket"] == stands["result"]["ticket"]


@pytest.mark.usefixtures("idempotent")
def test_a_run_that_was_cut_off_is_not_carried_on_under_another_policy(caller, proposals):
    dies("before the effect", *proposals)
    for proposal in proposals:
        lapse(proposal["proposal_id"])
    publish(caller.key.policy, SYSTEM)
    assert recover_actions() == TIMES
    for proposal in proposals:
        assert (effects_of(proposal), status_of(proposal)) == (0, "unknown")
        assert events(proposal["proposal_id"]) == ["requested", "approved", "executing", "unknown"]
        assert_never_again(caller, proposal, 0)


@pytest.mark.usefixtures("idempotent")
def test_what_was_cut_off_three_times_is_left_to_an_operator(caller, proposals):
    proposal = proposals[1]
    dies("after the effect", proposal)
    for fence in (2, 3):
        lapse(proposal["proposal_id"])
        dies("after the effect", {})
        assert PendingAction.objects.get(pk=proposal["proposal_id"]).fence == fence
    lapse(proposal["proposal_id"])
    assert recover_actions() == 1
    assert (effects_of(proposal), status_of(proposal)) == (3, "unknown")
    assert events(proposal["proposal_id"]) == ["requested", "approved", "executing", "retried", "retried", "unknown"]
    assert_never_again(caller, proposal, 3)
    assert repeated(caller, proposal).json()["code"] == "outcome_unknown"
