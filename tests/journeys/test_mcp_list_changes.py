"""Whoever listens at the MCP door is told of changes of its own list: one process, many, and one of an event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import httpx2
import pytest
from django.db import connection
from django.utils import timezone
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from telemetry.recorder import SYSTEM
from tests.journeys.mcp_processes import BOTH, STATELESS, posted, talk, threads
from tests.serving import serving
from tests.streaming import slow_tools
from tools.actions.agents import revoke_key
from tools.actions.policies import publish
from tools.actions.tools import sync_python_tools

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
