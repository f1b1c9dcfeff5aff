"""What a call costs the database, a shape at a time (DESIGN: at most 8 and 2 commits; 4 and 1 for a read)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

BOUNDARY = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK")
pytestmark = pytest.mark.django_db(transaction=True)


def cost(caller, tool, arguments, **headers):
    """(statements, commits, answer) of one call; the tool's own statements do not count."""
    with CaptureQueriesContext(connection) as captured:
        answer = caller.call(tool, arguments, **headers)
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
