"""The MCP door's own tools: the rest of a cut result, tools found by words, and the prefix that is theirs alone."""

import json

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from observatory.demo.models import Ticket
from telemetry.models import AuditEvent, Payload, Span
from telemetry.recorder import SYSTEM
from tests.journeys.mcp_requests import WITH_FORMS, WITH_TASKS, ask, call, error, result, talk
from tests.serving import serving
from tools.actions.policies import publish, roll_back
from tools.actions.tools import save_tool
from tools.models import PolicyRevision, Tool
from tools.registry import tool as declared

LONG = "ø€😀x" * 50
OWN = {"observatory.status", "observatory.result", "observatory.search_tools", "observatory.call_tool"}


def listed(caller):
    return {tool["name"]: tool for tool in result(ask(caller, "tools/list"))["tools"]}


@pytest.fixture
def caller(world):
    return world.caller(world.allowing("search_customer", "create_ticket"))


# observatory.result


@pytest.fixture
def handle(world, caller):
    """Of a result that was cut: twenty customers with long names."""
    Tool.objects.filter(name="search_customer").update(result_limit_bytes=1024)
    for number in range(20):
        type(world.acme).objects.create(name=f"{number} {LONG[:110]}")
    cut = call(caller, "search_customer", {"query": "ø"})["structuredContent"]
    assert cut["truncated"] is True
    return cut["handle"]


@pytest.mark.django_db
@pytest.mark.parametrize("most", [256, 257, 1_000, 16_384])
def test_the_pieces_of_a_cut_result_are_the_whole(world, caller, handle, most):
    whole = caller.get(f"/results/{handle}").content
    pieces, offset = [], 0
    while offset is not None:
        piece = call(caller, "observatory.result", {"handle": handle, "offset": offset, "max_bytes": most})
        found = piece["structuredContent"]
        assert (piece["isError"], found["offset"], found["size_bytes"]) == (False, offset, len(whole))
        assert len(found["text"].encode()) <= most
        pieces.append(found["text"])
        offset = found["next_offset"]
    assert "".join(pieces).encode() == whole
    reads = AuditEvent.objects.filter(type="payload.read", actor=caller.key.agent.name)
    assert reads.count() == len(pieces) + 1


@pytest.mark.django_db
def test_an_offset_inside_a_character_or_beyond_the_end_is_no_fault(world, caller, handle):
    whole = caller.get(f"/results/{handle}").content
    inside = whole.index("ø".encode()) + 1
    piece = call(caller, "observatory.result", {"handle": handle, "offset": inside})["structuredContent"]
    assert piece["offset"] == inside + 1
    beyond = call(caller, "observatory.result", {"handle": handle, "offset": 10**9})["structuredContent"]
    assert (beyond["text"], beyond["next_offset"], beyond["offset"]) == ("", None, len(whole))


@pytest.mark.django_db
def test_anothers_result_is_as_if_it_were_not_there(world, caller, handle):
    other = world.caller(caller.key.policy, name="other", owner=world.charlie)
    kept = Payload.objects.filter(purpose=Payload.Purpose.ARGUMENTS).values_list("pk", flat=True)
    unknown = [handle, "5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51", "\x00", "no handle", *map(str, kept)]
    answers = [call(other, "observatory.result", {"handle": at}) for at in unknown]
    for answer in answers:
        answer["structuredContent"].pop("trace_id")
    assert all(answer["structuredContent"] == answers[0]["structuredContent"] for answer in answers)
    assert (answers[0]["isError"], answers[0]["structuredContent"]["code"]) == (True, "not_found")
    Payload.objects.filter(pk=handle).update(created_at=timezone.now().replace(year=2020), expires_at=timezone.now())
    expired = call(caller, "observatory.result", {"handle": handle})
    assert expired["structuredContent"]["code"] == "not_found"
    assert not AuditEvent.objects.filter(type="payload.read").exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong", [{}, {"offset": -1}, {"offset": "1"}, {"max_bytes": 1}, {"max_bytes": 10**6}, {"extra": 1}]
)
def test_what_does_not_fit_is_refused_as_by_any_tools_schema(world, caller, wrong):
    arguments = {"handle": "x", **wrong} if wrong else {}
    refused = call(caller, "observatory.result", arguments)
    assert (refused["isError"], refused["structuredContent"]["code"]) == (True, "denied_schema")
    assert refused["structuredContent"]["errors"]


@pytest.mark.django_db
def test_own_tools_are_listed_where_they_can_matter(world, caller):
    assert set(listed(caller)) & OWN == {"observatory.result"}
    held = {"tools": "create_ticket", "effect": "require_approval"}
    waits = world.caller(world.policy("waits", {"tools": "*", "effect": "allow"}, held))
    assert set(listed(waits)) & OWN == {"observatory.result", "observatory.status"}
    assert listed(world.caller(None)) == {}


# the reserved prefix


@pytest.mark.django_db
def test_no_tool_of_anybody_begins_as_our_own_do(world):
    with pytest.raises(ValidationError, match="own tools"):
        save_tool(Tool(name="observatory.status"), SYSTEM)
    with pytest.raises(IntegrityError, match="tool_name_not_our_own"), transaction.atomic():
        Tool.objects.create(name="observatory.x")
    with pytest.raises(ValueError, match="own tools"):
        declared(name="observatory.x")(lambda: None)
    save_tool(Tool(name="observatory2.status"), SYSTEM)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_tool_that_had_such_a_name_is_set_aside():
    """By the migrations themselves, from the state before them."""
    before = [("tools", "0007_snapshot_watches_upstreams")]

    def migrated(to):
        executor = MigrationExecutor(connection)
        executor.migrate(to or executor.loader.graph.leaf_nodes())
        return MigrationExecutor(connection).loader.project_state(to).apps

    try:
        migrated(before).get_model("tools", "Tool").objects.create(name="observatory.status", enabled=True)
    finally:
        migrated(None)
    tool = Tool.objects.get()
    assert (tool.name, tool.enabled) == ("was-observatory.status", False)


# tools found by words


@pytest.fixture
def searching(world):
    """A key whose policy has its tools found by search; one tool of the five is not for it."""
    rules = (
        {"tools": "search_customer\ncreate_ticket\nupdate_customer_status\nsend_message", "effect": "allow"},
        {"tools": "send_message", "effect": "require_two_phase"},
        {"tools": "update_customer_status", "effect": "require_approval"},
    )
    return world.caller(world.policy("searched", *rules, tool_search=True, self_confirm=True))


def found(caller, query, **more):
    answer = call(caller, "observatory.search_tools", {"query": query, **more})
    assert not answer["isError"], answer
    return [tool["name"] for tool in answer["structuredContent"]["tools"]]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_official_client_finds_a_tool_and_calls_it(world, searching, tmp_path):
    async def conversation(client):
        names = [tool.name for tool in (await client.list_tools()).tools]
        tools = await client.call_tool("observatory.search_tools", {"query": "find a customer by name"})
        first = tools.structured_content["tools"][0]
        wanted = {"name": first["name"], "arguments": {"query": "acme"}}
        return names, first, await client.call_tool("observatory.call_tool", wanted)

    with serving(tmp_path) as server:
        names, first, done = talk(server, searching.secret, conversation)
    assert set(names) == OWN
    assert set(first) == {"name", "title", "description", "input_schema", "annotations", "gate"}
    assert first["name"] == "search_customer"
    assert done.structured_content["results"][0]["name"] == "ACME AB"
    assert Span.objects.get().tool_name == "search_customer"


@pytest.mark.django_db
def test_search_tells_what_this_key_may_see_and_nothing_else(world, searching):
    assert found(searching, "ticket")[0] == "create_ticket"
    assert found(searching, "TICKETS create")[0] == "create_ticket"
    assert found(searching, "custom") == found(searching, "customer")
    assert found(searching, "send.message") == ["send_message", "send_message_propose", "send_message_commit"]
    assert found(searching, "incident impact get_incident_impact") == []
    assert Tool.objects.filter(name="get_incident_impact", enabled=True).exists()
    Tool.objects.filter(name="create_ticket").update(enabled=False)
    assert "create_ticket" not in found(searching, "ticket", limit=20)


ODD = ["", "   ", "the and of", "& | ! ( ) <-> :* ' \\ \" %", "\x00", "x" * 10_000, "a " * 5_000, "😀", "ticket\x00;--"]


@pytest.mark.django_db
@pytest.mark.parametrize("query", ODD)
def test_an_odd_query_is_answered_all_the_same(world, searching, query):
    names = found(searching, query, limit=2)
    assert len(names) <= 4
    if not any(letter.isalnum() for letter in query) or query.startswith("the"):
        assert names[0] == "create_ticket"


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{}, {"query": 1}, {"query": "a", "limit": 0}, {"query": "a", "limit": 21}])
def test_a_search_that_can_not_be_read_is_refused(world, searching, wrong):
    refused = call(searching, "observatory.search_tools", wrong)
    assert (refused["isError"], refused["structuredContent"]["code"]) == (True, "denied_schema")


def through(caller, name, arguments, **more):
    return call(caller, "observatory.call_tool", {"name": name, "arguments": arguments}, **more)


@pytest.mark.django_db
def test_a_call_by_name_is_the_same_call(world, searching):
    ticket = {"customer_id": world.acme.pk, "title": "Late invoices"}
    meta = {"org.mcp-observatory/idempotencyKey": "k"}
    made = through(searching, "create_ticket", ticket, meta=meta)["structuredContent"]
    again = call(searching, "create_ticket", ticket, meta=meta)["structuredContent"]
    assert (made["idempotent_replay"], again["idempotent_replay"]) == (False, True)
    assert Ticket.objects.count() == 1
    wrong = through(searching, "create_ticket", {"title": "x"})["structuredContent"]
    assert wrong == call(searching, "create_ticket", {"title": "x"})["structuredContent"] | {
        "trace_id": wrong["trace_id"]
    }
    assert through(searching, "send_message", {"channel": "#a", "message": "hi"})["structuredContent"]["code"] == (
        "two_phase_required"
    )
    assert set(Span.objects.values_list("tool_name", flat=True)) == {"create_ticket", "send_message"}


@pytest.mark.django_db
def test_a_held_call_by_name_waits_is_a_task_and_may_be_confirmed(world, searching):
    change = {"customer_id": world.acme.pk, "new_status": "vip"}
    assert through(searching, "update_customer_status", change)["structuredContent"]["status"] == "pending_approval"
    assert through(searching, "update_customer_status", change, can=WITH_TASKS)["resultType"] == "task"
    question = through(searching, "update_customer_status", change, can=WITH_FORMS)
    assert question["resultType"] == "input_required"
    answers = {"confirm": {"action": "accept", "content": {"approve": True}}}
    repeat = {"requestState": question["requestState"], "inputResponses": answers, "can": WITH_FORMS}
    done = through(searching, "update_customer_status", change, **repeat)
    assert done["structuredContent"]["customer"]["status"] == "vip"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["no_such_tool", "get_incident_impact", "observatory.call_tool", "observatory.status"])
def test_a_name_that_is_none_for_this_key_is_unknown(world, searching, name):
    params = {"name": "observatory.call_tool", "arguments": {"name": name, "arguments": {}}}
    assert error(ask(searching, "tools/call", params)) == (400, -32602)
    assert AuditEvent.objects.filter(type="call.denied").count() == 1


@pytest.mark.django_db
def test_without_the_switch_there_is_no_search_and_with_it_rest_is_unchanged(world, caller, searching):
    for name in ("observatory.search_tools", "observatory.call_tool"):
        params = {"name": name, "arguments": {"query": "a", "name": "search_customer"}}
        assert error(ask(caller, "tools/call", params)) == (400, -32602)
    assert set(listed(searching)) == OWN
    legacy = searching.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).json()["result"]["tools"]
    assert {tool["name"] for tool in legacy} == OWN
    rest = {tool["name"] for tool in searching.get("/mcp/tools").json()["tools"]}
    assert rest == {
        "search_customer",
        "create_ticket",
        "update_customer_status",
        "send_message",
        "send_message_propose",
        "send_message_commit",
    }


@pytest.mark.django_db
def test_the_switch_is_published_shown_as_a_change_and_rolled_back(world, caller):
    policy = caller.key.policy
    assert "tool_search" not in PolicyRevision.objects.get(policy=policy).document
    policy.tool_search = True
    policy.save(update_fields=["tool_search"])
    assert set(listed(caller)) & OWN == {"observatory.result"}
    publish(policy, SYSTEM)
    assert set(listed(caller)) == OWN - {"observatory.status"}
    roll_back(policy, PolicyRevision.objects.get(policy=policy, number=1), SYSTEM)
    policy.refresh_from_db()
    assert policy.tool_search is False
    assert "create_ticket" in listed(caller)
    assert json.dumps(PolicyRevision.objects.get(policy=policy, number=2).document["tool_search"]) == "true"
