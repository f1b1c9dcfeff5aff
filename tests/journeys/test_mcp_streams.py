"""Streams of the MCP door, by its official client against two real processes: progress, taking back, list changes."""

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from itertools import repeat
from pathlib import Path

import anyio
import httpx2
import pytest
from django.db import connection
from django.utils import timezone
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from observatory.demo.models import Ticket
from telemetry.models import AuditEvent, Span
from telemetry.recorder import SYSTEM
from tests.serving import serving
from tests.streaming import slow_tools
from tools.actions.agents import revoke_key
from tools.actions.policies import publish
from tools.actions.tools import sync_python_tools

ERAS = ["legacy", "2026-07-28"]
pytestmark = pytest.mark.django_db(transaction=True)


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


def talk(server, secret, mode, conversation):
    """What the conversation with a connected client answered; in a thread of its own, as a loop wants it."""

    async def run():
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=30) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as client,
        ):
            return await conversation(client)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, run()).result(timeout=60)


def soon(question, within_s=15):
    """The answer, once there is one."""
    deadline = time.monotonic() + within_s
    while not (found := question()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return found


def spans(tool):
    return list(Span.objects.filter(tool_name=tool).order_by("start_time"))


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


@pytest.mark.slow
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


@pytest.mark.slow
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


BOTH = "application/json, text/event-stream"
STATELESS = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def posted(server, secret, method, params, *, request_id=1, **headers):
    body = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    sent = {"X-API-Key": secret, "Accept": "application/json"} | {n.replace("_", "-"): v for n, v in headers.items()}
    return httpx2.post(f"{server.url}/mcp", json=body, headers=sent, timeout=30)


@pytest.mark.slow
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


# changes of the list


@pytest.mark.slow
def test_whoever_listens_is_told_of_changes_of_its_own_list_and_of_the_end(server, world, caller, tmp_path):
    policy = caller.key.policy
    other = world.caller(world.allowing("search_customer", name="other"), name="other")

    def change():
        world.add_rules(policy, {"tools": "create_ticket", "effect": "allow"})
        publish(policy, SYSTEM)
        connection.close()

    def lose_the_connections():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE 'mcp-observatory-words-%'"
            )
            assert cursor.fetchone()[0] >= 1

    def change_unheard():
        lose_the_connections()
        world.add_rules(policy, {"tools": "send_message", "effect": "allow"})
        publish(policy, SYSTEM)
        connection.close()

    def revoke():
        revoke_key(caller.key, SYSTEM, timezone.now())
        connection.close()

    async def conversation(client):
        async with (
            client.listen(tools_list_changed=True) as mine,
            client_of(server, other) as theirs,
            theirs.listen(tools_list_changed=True) as silent,
        ):
            with anyio.fail_after(40):
                before = {tool.name for tool in (await client.list_tools()).tools}
                await asyncio.to_thread(change)
                await anext(mine)
                after = {tool.name for tool in (await client.list_tools()).tools}
                await asyncio.to_thread(change_unheard)
                await anext(mine)
                await asyncio.to_thread(revoke)
                with pytest.raises(StopAsyncIteration):
                    await anext(mine)
            with anyio.move_on_after(0.3) as waited:
                await anext(silent)
            return before, after, waited.cancelled_caught

    before, after, was_silent = talk(server, caller.secret, "2026-07-28", conversation)
    assert after - before == {"create_ticket"}
    assert was_silent


@asynccontextmanager
async def client_of(server, caller):
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {caller.secret}"}, timeout=30) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode="2026-07-28") as client,
    ):
        yield client


SUBSCRIBERS = 300


@pytest.mark.slow
def test_hundreds_listen_in_one_process_without_a_thread_each(world, caller, tmp_path):
    policy = caller.key.policy
    options = {"application": "observatory.asgi:application", "interface": "asgi", "OBSERVATORY_MCP_STREAMS": "1000"}

    def change():
        world.add_rules(policy, {"tools": "create_ticket", "effect": "allow"})
        publish(policy, SYSTEM)
        connection.close()

    def revoke():
        revoke_key(caller.key, SYSTEM, timezone.now())
        connection.close()

    async def opened(client, streams):
        return await streams.enter_async_context(client.listen(tools_list_changed=True))

    async def ended(subscription):
        return [event async for event in subscription]

    async def run(server):
        limits = httpx2.Limits(max_connections=None)
        async with (
            httpx2.AsyncClient(headers={"X-API-Key": caller.secret}, timeout=60, limits=limits) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode="2026-07-28") as client,
            AsyncExitStack() as streams,
        ):
            listening = [await opened(client, streams) for _ in range(SUBSCRIBERS)]
            used = await asyncio.to_thread(threads, server)
            await asyncio.to_thread(change)
            told = await asyncio.gather(*(anext(subscription) for subscription in listening))
            await asyncio.to_thread(revoke)
            after = await asyncio.gather(*(ended(subscription) for subscription in listening))
            return used, told, after

    with serving(tmp_path, **options) as server:
        idle = threads(server)
        with ThreadPoolExecutor(1) as pool:
            used, told, after = pool.submit(asyncio.run, run(server)).result(timeout=110)
        assert used <= idle + 20
        refused = posted(server, caller.secret, "ping", {})
    assert (len(told), after) == (SUBSCRIBERS, [[]] * SUBSCRIBERS)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


@pytest.mark.slow
def test_a_process_of_subscriptions_asks_what_the_others_ask(caller, tmp_path):
    headers = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": "subscriptions/listen", "Accept": BOTH}
    params = {"notifications": {"toolsListChanged": True}, "_meta": STATELESS}
    options = {"application": "observatory.asgi:application", "interface": "asgi", "OBSERVATORY_MCP_STREAMS": "0"}
    with serving(tmp_path, **options) as server:

        def listened(secret=caller.secret, sent=params, **more):
            answer = posted(server, secret, "subscriptions/listen", sent, **(headers | more))
            return answer.status_code, answer.json().get("code") or answer.json()["error"]["data"]["code"]

        assert listened(secret="mo_test_x") == (401, "unauthenticated")
        assert listened(Origin="https://evil.example.com") == (403, "denied_origin")
        assert listened(Host="evil.example.com") == (400, "invalid_parameter")
        assert listened(Accept="application/json") == (406, "not_acceptable")
        assert listened() == (503, "streams_used_up")


# more than there is room for


@pytest.mark.slow
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


@pytest.mark.slow
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


def threads(server):
    """How many threads the server's processes have."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == server.group():
                found += len(list((process / "task").iterdir()))
        except OSError:
            continue
    return found
