"""What a call costs the database, a shape at a time (DESIGN: at most 8 and 2 commits; 4 and 1 for a read)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals.actions import decide
from tests.journeys.proposals import committed, proposed, ticket

BOUNDARY = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK")
pytestmark = pytest.mark.django_db(transaction=True)
# (statements, commits) of each shape of two phases; by whether a person has to agree besides.
BUDGET = {
    False: {
        "propose": [17, 1],
        "first look": [3, 1],
        "look": [3, 1],
        "forged": [3, 1],
        "commit": [28, 3],
        "replay": [9, 1],
    },
    True: {
        "propose": [13, 1],
        "first look": [6, 1],
        "look": [3, 1],
        "forged": [3, 1],
        "commit": [28, 3],
        "replay": [9, 1],
    },
}


def cost(caller, tool, arguments, **headers):
    """(statements, commits, answer) of one call; the tool's own statements do not count."""
    return cost_of(lambda: caller.call(tool, arguments, **headers))


def cost_of(act):
    with CaptureQueriesContext(connection) as captured:
        answer = act()
    statements = [q["sql"] for q in captured.captured_queries]
    counted = [s for s in statements if not s.startswith(BOUNDARY) and "demo_" not in s]
    return len(counted), sum(s.startswith("COMMIT") for s in statements), answer


def test_a_read_costs_at_most_4_statements_and_1_commit(world):
    caller = world.caller(world.allowing())
    caller.call("search_customer", {"query": "acme"})
    statements, commits, answer = cost(caller, "search_customer", {"query": "acme"})
    assert answer.status_code == 200
    assert (statements, commits) == (3, 1)


def test_a_write_with_an_idempotency_key_costs_at_most_8_statements_and_2_commits(world):
    caller = world.caller(world.allowing())
    arguments = {"customer_id": world.acme.pk, "title": "A ticket"}
    caller.call("create_ticket", arguments, Idempotency_Key="warm")
    statements, commits, answer = cost(caller, "create_ticket", arguments, Idempotency_Key="k")
    assert answer.status_code == 200
    assert statements <= 8
    assert commits == 2


def test_the_first_call_in_a_minute_writes_last_use_and_stays_in_the_budget(world):
    caller = world.caller(world.allowing())
    other = world.caller(caller.key.policy, name="other-agent")
    caller.call("search_customer", {"query": "acme"})  # the snapshot is loaded
    statements, _, _ = cost(other, "search_customer", {"query": "acme"})
    assert statements == 4


@pytest.mark.parametrize(
    ("shape", "most"),
    [("replay", 5), ("denied by policy", 3), ("denied by schema", 3), ("held", 8), ("unauthenticated", 2)],
)
def test_other_shapes_have_their_budget(world, shape, most):
    policy = world.policy(
        "p",
        {"tools": "create_ticket\nupdate_customer_status\nsearch_customer", "effect": "allow"},
        {"tools": "search_customer", "effect": "deny", "conditions": [("args.query", "equals", "x")]},
    )
    caller = world.caller(policy)
    arguments = {"customer_id": world.acme.pk, "title": "A ticket"}
    caller.call("create_ticket", arguments, Idempotency_Key="k")
    calls = {
        "replay": ("create_ticket", arguments, {"Idempotency_Key": "k"}, 200),
        "denied by policy": ("search_customer", {"query": "x"}, {}, 403),
        "denied by schema": ("search_customer", {"query": 5}, {}, 422),
        "held": ("update_customer_status", {"customer_id": 1, "new_status": "x"}, {}, 200),
        "unauthenticated": ("search_customer", {"query": "x"}, {"X_API_Key": "wrong"}, 401),
    }
    tool, body, headers, status = calls[shape]
    statements, _, answer = cost(caller, tool, body, **headers)
    assert answer.status_code == status
    assert statements <= most


@pytest.mark.parametrize("waits", [False, True])
def test_two_phases_have_their_budget(world, waits):
    """What they cost today, to be lowered and not to be raised unnoticed."""
    caller = world.caller(world.two_phase(waits=waits))

    def approved(proposal_id):
        if waits:
            decide(proposal_id, world.bob, approve=True, reason="", via="admin", now=timezone.now())

    warm = proposed(caller, ticket(world)).json()
    approved(warm["proposal_id"])
    committed(caller, caller.get(f"/proposals/{warm['proposal_id']}").json())

    found = {}
    *found["propose"], answer = cost_of(lambda: proposed(caller, ticket(world)))
    path = f"/proposals/{answer.json()['proposal_id']}"
    approved(answer.json()["proposal_id"])
    *found["first look"], answer = cost_of(lambda: caller.get(path))
    *found["look"], answer = cost_of(lambda: caller.get(path))
    proposal = answer.json()
    *found["forged"], answer = cost_of(lambda: committed(caller, proposal | {"commit_token": "mo1.00000000.e30.AAAA"}))
    assert answer.status_code == 401
    *found["commit"], answer = cost_of(lambda: committed(caller, proposal))
    assert answer.status_code == 200
    *found["replay"], answer = cost_of(lambda: committed(caller, proposal))
    assert answer.status_code == 409
    assert found == BUDGET[waits]


def test_a_session_has_its_budget(world):
    """What its steps cost today, to be lowered and not to be raised unnoticed."""
    caller = world.caller(world.allowing())
    opened = {"model": "gpt-4o", "session_id": "s"}
    arguments = {"customer_id": world.acme.pk, "title": "A ticket"}

    def step(**members):
        return caller.post("/sessions/s/steps", {"role": "assistant", **members})

    def looked(query):
        return step(tool_name="search_customer", tool_args={"query": query})

    caller.post("/sessions", opened | {"session_id": "warm"})
    found = {}
    *found["open"], answer = cost_of(lambda: caller.post("/sessions", opened))
    assert answer.status_code == 201
    looked("warm")
    *found["said"], answer = cost_of(lambda: step(input_text="hello"))
    assert answer.json()["decision"] == "ok"
    *found["read"], answer = cost_of(lambda: looked("acme"))
    assert answer.json()["decision"] == "ok"
    *found["read again"], answer = cost_of(lambda: looked("acme"))
    assert answer.json()["guardrail_signals"][-1]["reused"]
    *found["written"], answer = cost_of(lambda: step(tool_name="create_ticket", tool_args=arguments))
    assert answer.json()["decision"] == "ok"
    *found["by header"], answer = cost(caller, "search_customer", {"query": "acme"}, X_Session_Id="s")
    assert answer.status_code == 200
    *found["beyond"], answer = cost_of(lambda: looked(5))
    assert answer.json()["decision"] == "denied_schema"
    assert found == {
        "open": [5, 2],
        "said": [11, 2],
        "read": [14, 2],
        "read again": [13, 2],
        "written": [15, 3],
        "by header": [12, 2],
        "beyond": [11, 2],
    }
