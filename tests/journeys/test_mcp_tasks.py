"""The tasks extension at the public door: what waits for a person is a task, and only for whom it belongs to."""

import asyncio
from typing import Any, Literal

import mcp_types as types
import pytest
from django.db import connection
from django.utils import timezone
from mcp.client.extension import ClientExtension, ResultClaim

from approvals.actions import decide, expire_overdue
from approvals.models import PendingAction
from approvals.resolution import MAY_RESOLVE, resolve
from approvals.states import Status
from approvals.transitions import burn
from observatory.demo.models import Customer
from observatory.tasks import run_approved_actions
from tests.journeys.mcp_requests import TASKS, WITH_TASKS, ask, call, error, result, talk
from tests.journeys.proposals import SAME, committed
from tests.races.lapsing import expire
from tests.serving import serving

NOWHERE = "5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51"


@pytest.fixture
def caller(world):
    return world.caller(world.two_phase("create_ticket", waits=True, name="agents"))


@pytest.fixture
def caller_of_held(world):
    rules = {"tools": "*", "effect": "allow"}, {"tools": "update_customer_status", "effect": "require_approval"}
    return world.caller(world.policy("held", *rules))


def change(world, status="vip"):
    return {"customer_id": world.acme.pk, "new_status": status}


def started(caller, world, tool="update_customer_status", arguments=None):
    """The task that a held call became."""
    task = call(caller, tool, arguments or change(world), can=WITH_TASKS)
    assert task["resultType"] == "task", task
    return task


def task_of(caller, task_id):
    return result(ask(caller, "tasks/get", {"taskId": task_id}, can=WITH_TASKS))


def agree(world, action_id, *, approve=True):
    found = decide(action_id, world.bob, approve=approve, reason="", via="admin", now=timezone.now())
    assert found.action.status in ("approved", "rejected"), found
    return found


# the official client, over HTTP


class CreatedTask(types.Result):
    result_type: Literal["task"] = "task"
    task_id: str
    poll_interval_ms: int


class TaskParams(types.RequestParams):
    task_id: str


class GetTask(types.Request[TaskParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: TaskParams
    name_param = "taskId"


class TaskState(types.Result):
    result_type: str = "complete"
    status: str
    result: dict[str, Any] | None = None


class Tasks(ClientExtension):
    """Polls a task to its end, as the extension tells clients to; `meanwhile` is done by somebody else."""

    identifier = TASKS

    def __init__(self, meanwhile):
        self.meanwhile, self.seen = meanwhile, []

    def claims(self):
        return [ResultClaim(method="tools/call", result_type="task", model=CreatedTask, resolve=self.polled)]

    async def polled(self, task, context):
        for _ in range(50):
            params = TaskParams(task_id=task.task_id)
            state = await context.session.send_request(GetTask(params=params), TaskState)
            self.seen.append(state.status)
            if state.status == "completed":
                return types.CallToolResult.model_validate(state.result)
            await asyncio.to_thread(self.meanwhile, task.task_id)
        raise AssertionError(self.seen)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_approval_in_admin_reaches_the_client_that_polls(world, caller, tmp_path):
    def operator(action_id):
        agree(world, action_id)
        assert run_approved_actions() == 1  # what the worker does
        connection.close()

    tasks = Tasks(operator)
    with serving(tmp_path) as server:
        done = talk(
            server,
            caller.secret,
            lambda client: client.call_tool("update_customer_status", change(world)),
            extensions=[tasks],
        )
    assert tasks.seen == ["working", "completed"]
    assert (done.is_error, done.structured_content["customer"]["status"]) == (False, "vip")
    assert Customer.objects.get(pk=world.acme.pk).status == "vip"


# by hand


@pytest.mark.django_db
def test_the_extension_is_offered_and_used_where_the_request_itself_declares_it(world, caller, caller_of_held):
    offered = result(ask(caller, "server/discover"))["capabilities"]["extensions"]
    assert offered == {TASKS: {}}
    hello = {"protocolVersion": "2025-11-25", "capabilities": WITH_TASKS, "clientInfo": {"name": "t", "version": "1"}}
    legacy = caller.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).json()
    assert "extensions" not in legacy["result"]["capabilities"]
    assert "taskId" not in call(caller, "search_customer", {"query": "a"}, can=WITH_TASKS)
    plain = call(caller_of_held, "update_customer_status", change(world), can={"extensions": {}})
    assert (plain["resultType"], plain["structuredContent"]["status"]) == ("complete", "pending_approval")


@pytest.mark.django_db
def test_a_held_call_is_a_task_that_ends_with_its_result(world, caller_of_held):
    caller = caller_of_held
    task = started(caller, world)
    assert task["status"] == "working"
    assert set(task) >= {"statusMessage", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs"}
    assert not {"result", "error", "inputRequests", "task"} & set(task)
    assert task["createdAt"].endswith("Z")
    assert task["ttlMs"] > 3_600_000
    waits = task_of(caller, task["taskId"])
    assert (waits["resultType"], waits["status"], "result" in waits) == ("complete", "working", False)
    agree(world, task["taskId"])
    assert task_of(caller, task["taskId"])["status"] == "working"
    assert run_approved_actions() == 1
    done = task_of(caller, task["taskId"])
    assert done["status"] == "completed"
    assert done["result"]["structuredContent"]["customer"]["status"] == "vip"
    assert (done["result"]["isError"], done["result"]["resultType"]) == (False, "complete")
    assert done["lastUpdatedAt"] > task["lastUpdatedAt"]


def rejected(world, action_id):
    agree(world, action_id, approve=False)


def expired(world, action_id):
    assert expire(action_id)
    assert expire_overdue(timezone.now()) == 1


def revoked(world, action_id):
    agree(world, action_id)
    world.alice.is_active = False
    world.alice.save()
    run_approved_actions()
    world.alice.is_active = True
    world.alice.save()


def failed(world, action_id):
    agree(world, action_id)
    Customer.objects.all().delete()
    run_approved_actions()


def cut_off(world, action_id):
    agree(world, action_id)
    burn(action_id, timezone.now())
    PendingAction.objects.filter(pk=action_id).update(status=Status.UNKNOWN, reason="outcome_unknown")


ENDS = [
    (rejected, "action_rejected"),
    (expired, "action_expired"),
    (revoked, "key_revoked"),
    (failed, "tool_error"),
    (cut_off, "outcome_unknown"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("end", "code"), ENDS)
def test_a_call_that_came_to_nothing_is_completed_with_an_error_result(world, caller_of_held, end, code):
    task = started(caller_of_held, world)
    end(world, task["taskId"])
    ended = task_of(caller_of_held, task["taskId"])
    assert (ended["status"], ended["result"]["isError"]) == ("completed", True)
    problem = ended["result"]["structuredContent"]
    assert (problem["code"], problem["pending_action_id"]) == (code, task["taskId"])


@pytest.mark.django_db
def test_an_operators_evidence_is_not_told_to_the_agent(world, caller_of_held):
    task = started(caller_of_held, world)
    cut_off(world, task["taskId"])
    assert world.bob.has_perm(MAY_RESOLVE)
    evidence = "Seen in the ledger of Friday."
    resolve(task["taskId"], world.bob, done=True, evidence=evidence, now=timezone.now())
    ended = ask(caller_of_held, "tasks/get", {"taskId": task["taskId"]}, can=WITH_TASKS)
    assert result(ended)["result"]["structuredContent"]["code"] == "resolved_done"
    assert evidence not in ended.content.decode()


@pytest.mark.django_db
def test_a_task_is_cancelled_while_nobody_has_decided_and_only_acknowledged_afterwards(world, caller_of_held):
    caller = caller_of_held
    task = started(caller, world)
    for _ in range(2):
        ack = result(ask(caller, "tasks/cancel", {"taskId": task["taskId"]}, can=WITH_TASKS))
        assert (ack["resultType"], "taskId" in ack) == ("complete", False)
    ended = task_of(caller, task["taskId"])
    assert (ended["status"], "result" in ended) == ("cancelled", False)
    approved = started(caller, world, arguments=change(world, "blocked"))
    agree(world, approved["taskId"])
    result(ask(caller, "tasks/cancel", {"taskId": approved["taskId"]}, can=WITH_TASKS))
    assert task_of(caller, approved["taskId"])["status"] == "working"


@pytest.mark.django_db
def test_answers_that_a_task_did_not_ask_for_are_acknowledged_and_ignored(world, caller_of_held):
    task = started(caller_of_held, world)
    params = {"taskId": task["taskId"], "inputResponses": {"confirm": {"action": "accept", "content": {}}}}
    assert result(ask(caller_of_held, "tasks/update", params, can=WITH_TASKS))["resultType"] == "complete"
    assert task_of(caller_of_held, task["taskId"])["status"] == "working"
    assert error(ask(caller_of_held, "tasks/update", {"taskId": task["taskId"]}, can=WITH_TASKS)) == (400, -32602)


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
def test_a_task_is_its_agents_own_and_header_and_capability_are_asked(world, caller_of_held, method):
    caller = caller_of_held
    task_id = started(caller, world)["taskId"]
    other = world.caller(caller.key.policy, name="other", owner=world.charlie)

    def asked(who, wanted, **more):
        params = {"taskId": wanted, "inputResponses": {}}
        return ask(who, method, params, **({"can": WITH_TASKS} | more))

    answers = [asked(other, at).json()["error"] for at in (task_id, NOWHERE, "no id", "")]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["code"] == -32602
    assert error(asked(caller, task_id, Mcp_Name=NOWHERE)) == (400, -32020)
    assert error(asked(caller, task_id, can={"extensions": {}})) == (400, -32021)
    needed = asked(caller, task_id, can={}).json()["error"]["data"]["requiredCapabilities"]
    assert needed == {"extensions": {TASKS: {}}}
    legacy = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"taskId": task_id, "inputResponses": {}}}
    assert caller.post("/mcp", legacy).json()["error"]["code"] == -32601
    assert PendingAction.objects.get().status == Status.PENDING
    assert asked(caller, task_id).status_code == 200


@pytest.mark.django_db
def test_a_proposal_that_waits_is_a_task_and_ends_with_what_its_commit_needs(world, caller):
    ticket = {"customer_id": world.acme.pk, "title": "Late"}
    task = started(caller, world, "create_ticket_propose", ticket | {"candidate_outputs": SAME})
    assert task_of(caller, task["taskId"])["status"] == "working"
    agree(world, task["taskId"])
    ready = task_of(caller, task["taskId"])
    assert ready["status"] == "completed"
    proposal = ready["result"]["structuredContent"]
    assert proposal == caller.get(f"/proposals/{task['taskId']}").json()
    assert committed(caller, proposal).json()["status"] == "committed"
    again = task_of(caller, task["taskId"])["result"]["structuredContent"]
    assert (again["status"], "commit_token" in again) == ("committed", False)
    refused = started(caller, world, "create_ticket_propose", ticket | {"candidate_outputs": SAME})
    agree(world, refused["taskId"], approve=False)
    ended = task_of(caller, refused["taskId"])["result"]
    assert (ended["isError"], ended["structuredContent"]["code"]) == (True, "action_rejected")


@pytest.mark.django_db
def test_a_repeat_by_idempotency_key_is_the_same_task(world, caller_of_held):
    meta = {"org.mcp-observatory/idempotencyKey": "k"}
    tasks = [call(caller_of_held, "update_customer_status", change(world), can=WITH_TASKS, meta=meta) for _ in "ab"]
    assert tasks[0]["taskId"] == tasks[1]["taskId"]
    assert PendingAction.objects.count() == 1
