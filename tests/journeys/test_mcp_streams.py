"""Streams of the MCP door, by its official client against two real processes: progress, taking back, the cap."""

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import repeat

import anyio
import httpx2
import pytest
from django.db import connection
from mcp.shared.exceptions import MCPError

from observatory.demo.models import Ticket
from telemetry.models import AuditEvent
from tests.journeys.mcp_processes import BOTH, HELLO, STATELESS, posted, soon, spans, talk, threads
from tests.serving import serving
from tests.streaming import slow_tools
from tools.actions.tools import sync_python_tools

ERAS = ["legacy", "2026-07-28"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def caller(world):
    slow_tools.register()
    sync_python_tools()
    yield world.caller(world.allowing("count_slowly", "open_slowly", "search_customer"))
    slow_tools.forget()


@pytest.fixture
def server(caller, tmp_path):
    with serving(tmp_path, workers=2, application="tests.streaming.wsgi:application") as running:
        yield running


# progress


@pytest.mark.parametrize("mode", ERAS)
def test_a_call_that_asks_for_it_is_told_how_far_it_is_and_recorded_as_any(server, caller, mode):
    async def conversation(client):
        told = []

        async def note(progress, total, message):
            told.append((progress, total, message))

        arguments = {"steps": 5, "pause_s": 0.12}
        return told, [
            await client.call_tool("count_slowly", arguments, progress_callback=note),
            await client.call_tool("count_slowly", arguments),
        ]

    told, (streamed, plain) = talk(server, caller.secret, mode, conversation)
    assert streamed.structured_content == plain.structured_content == {"counted": 5}
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})
    assert len(told) >= 3
    assert told[-1] == (5, 5, "step 5")
    first, second = spans("count_slowly")
    of_both = [(s.door, s.decision, s.reason, s.stage, s.policy, s.rule, s.agent_key) for s in (first, second)]
    assert of_both[0] == of_both[1]
    assert list(first.stages_us) == list(second.stages_us)
    assert AuditEvent.objects.filter(type="call.answered", subject="count_slowly").count() == 2


# taking a call back

LONG = {"steps": 400, "pause_s": 0.05}


async def given_up(client, tool, arguments, *, after_s=None):
    """The call was made and its client stopped waiting: at the first progress, or after a time."""
    scope = anyio.CancelScope()

    async def note(progress, total, message):
        scope.cancel()

    with scope, anyio.move_on_after(after_s):
        await client.call_tool(tool, arguments, progress_callback=None if after_s else note)
        raise AssertionError("it was answered")


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("after_s", [None, 1.5], ids=["told of progress", "told of nothing"])
def test_a_call_is_taken_back_whichever_process_runs_it(server, caller, mode, after_s):
    async def conversation(client):
        for _ in range(3):
            await given_up(client, "count_slowly", LONG, after_s=after_s)
        return await client.call_tool("count_slowly", {"steps": 1, "pause_s": 0.0})

    after = talk(server, caller.secret, mode, conversation)
    assert after.structured_content == {"counted": 1}
    soon(lambda: [span.reason for span in spans("count_slowly")].count("call_cancelled") == 3)
    assert [span.reason for span in spans("count_slowly")].count("allowed") == 1


@pytest.mark.parametrize("mode", ERAS)
def test_a_tool_that_has_acted_is_settled_as_done_and_never_run_twice(server, world, caller, mode):
    arguments = {"customer_id": world.acme.pk, "steps": 20, "pause_s": 0.05}
    key = {"org.mcp-observatory/idempotencyKey": "once"}

    async def conversation(client):
        scope = anyio.CancelScope()

        async def note(progress, total, message):
            scope.cancel()

        with scope:
            await client.call_tool("open_slowly", arguments, progress_callback=note, meta=key)
        await asyncio.to_thread(soon_settled)
        return await client.call_tool("open_slowly", arguments, meta=key)

    again = talk(server, caller.secret, mode, conversation)
    assert again.structured_content["opened"] is True
    assert again.meta["org.mcp-observatory/replayed"] is True
    assert Ticket.objects.count() == 1
    (settled,) = AuditEvent.objects.filter(type="call.settled")
    assert (settled.reason, json.loads(settled.data)["ran"]) == ("allowed", "yes")


def soon_settled():
    soon(lambda: AuditEvent.objects.filter(type="call.settled").exists())
    connection.close()


@pytest.mark.parametrize(
    ("session", "request_id", "reason"),
    [("own", 7, "call_cancelled"), ("another", 7, "allowed"), ("own", "7", "allowed"), ("none", 7, "allowed")],
)
def test_a_plain_call_is_taken_back_from_another_process_by_its_session_and_id_only(
    server, caller, session, request_id, reason
):
    """The word comes in at this very process, which is none of the server's two."""
    hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO}
    sessions = {name: {"Mcp-Session-Id": caller.post("/mcp", hello)["Mcp-Session-Id"]} for name in ("own", "another")}
    sessions["none"] = {}
    params = {"name": "count_slowly", "arguments": {"steps": 80, "pause_s": 0.05}}
    word = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}}
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(posted, server, caller.secret, "tools/call", params, request_id=7, **sessions["own"])
        soon(listens)
        assert caller.post("/mcp", word, **sessions[session]).status_code == 202
        result = answer.result(timeout=30).json()["result"]
    assert result["isError"] is (reason == "call_cancelled")
    assert result.get("structuredContent", {}).get("code", "allowed") == reason
    assert spans("count_slowly")[0].reason == reason


def listens():
    """Some other process listens at the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
            " AND query LIKE 'LISTEN%%' AND application_name LIKE 'mcp-observatory-words-%%'"
            " AND application_name <> %s",
            [f"mcp-observatory-words-{os.getpid()}"],
        )
        return cursor.fetchone()[0]


# more than there is room for


def test_above_the_cap_a_subscription_is_refused_and_a_call_is_answered_plainly(caller, tmp_path):
    options = {"workers": 1, "application": "tests.streaming.wsgi:application", "OBSERVATORY_MCP_STREAMS": "1"}
    told = []

    async def note(progress, total, message):
        told.append(progress)

    async def conversation(client):
        async with client.listen(tools_list_changed=True):
            with pytest.raises(MCPError) as refused:
                async with client.listen(tools_list_changed=True):
                    raise AssertionError("there is no room")
            plain = await client.call_tool("count_slowly", {"steps": 5, "pause_s": 0.1}, progress_callback=note)
            assert not told
        with anyio.fail_after(15):
            while not told:  # the slot is free once the server has noticed
                await client.call_tool("count_slowly", {"steps": 5, "pause_s": 0.1}, progress_callback=note)
        return refused.value, plain

    with serving(tmp_path, **options) as server:
        refused, plain = talk(server, caller.secret, "2026-07-28", conversation)
    assert refused.error.data["code"] == "streams_used_up"
    assert plain.structured_content == {"counted": 5}


def test_clients_that_go_away_leave_no_thread_no_connection_and_no_slot_behind(caller, tmp_path):
    options = {"workers": 1, "threads": 40, "application": "tests.streaming.wsgi:application"}
    meta = STATELESS | {"progressToken": 1}
    headers = {"MCP-Protocol-Version": "2026-07-28", "X-API-Key": caller.secret, "Accept": BOTH}

    def leaves(number, server):
        """Opens a stream and goes away after its first bytes."""
        called = {"name": "count_slowly", "arguments": {"steps": 50, "pause_s": 0.02}, "_meta": meta}
        listens = {"notifications": {"toolsListChanged": True}, "_meta": meta}
        method, params = ("tools/call", called) if number % 2 else ("subscriptions/listen", listens)
        more = {"Mcp-Method": method} | ({"Mcp-Name": "count_slowly"} if number % 2 else {})
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        with httpx2.stream("POST", f"{server.url}/mcp", json=body, headers=headers | more, timeout=30) as answer:
            next(answer.iter_raw(), b"")
            return answer.status_code

    with serving(tmp_path, **options, OBSERVATORY_MCP_STREAMS="64") as server:
        assert [leaves(number, server) for number in range(2)] == [200, 200]
        began_with = threads(server)
        with ThreadPoolExecutor(24) as pool:
            statuses = list(pool.map(leaves, range(600), repeat(server)))
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) > 300
        # The web server's own threads come as they are needed; those of calls, 300 and more, are gone.
        soon(lambda: threads(server) <= began_with + options["threads"], 30)
        # No more than the pool holds, and none of those is lost: calls are still answered.
        soon(lambda: connections() <= 16, 30)
        plain = {"name": "count_slowly", "arguments": {"steps": 1, "pause_s": 0}}
        for _ in range(20):
            assert posted(server, caller.secret, "tools/call", plain).json()["result"]["isError"] is False
        # Every place is free again: as many can listen as ever.
        with ExitStack() as open_streams:
            for number in range(30):
                body = {"jsonrpc": "2.0", "id": number, "method": "subscriptions/listen", "params": {}}
                body["params"] = {"notifications": {"toolsListChanged": True}, "_meta": meta}
                stream = httpx2.stream(
                    "POST",
                    f"{server.url}/mcp",
                    json=body,
                    headers=headers | {"Mcp-Method": "subscriptions/listen"},
                    timeout=30,
                )
                answer = open_streams.enter_context(stream)
                assert answer.status_code == 200
                assert b"acknowledged" in next(answer.iter_raw())


def connections():
    """How many the servers hold, beside the one that listens."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'mcp-observatory' AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]
