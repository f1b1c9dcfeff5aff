"""MCP's official Python client against the real server: every era, guarded as REST is."""

import asyncio
import json

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from observatory.demo.models import Ticket
from telemetry.models import AuditEvent, Span
from tests.journeys.proposals import SAME
from tests.serving import serving

pytestmark = [pytest.mark.django_db(transaction=True)]
MODES = ["legacy", "auto", "2026-07-28"]


@pytest.fixture
def caller(world):
    return world.caller(world.two_phase("send_message", name="agents"))


@pytest.fixture
def server(caller, tmp_path):
    with serving(tmp_path) as running:
        yield running


def talk(server, secret, mode, conversation):
    """What the conversation with a connected client answered."""

    async def run():
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=30) as http:
            async with Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as client:
                return await conversation(client)

    return asyncio.run(run())


@pytest.mark.parametrize("mode", MODES)
def test_the_official_client_lists_calls_and_is_refused(world, caller, server, mode):
    async def conversation(client):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        found = await client.call_tool("search_customer", {"query": "acme"})
        wrong = await client.call_tool("create_ticket", {"title": "x"})
        direct = await client.call_tool("send_message", {"channel": "#a", "message": "hi"})
        with pytest.raises(MCPError) as unknown:
            await client.call_tool("no_such_tool", {})
        return client.protocol_version, tools, found, wrong, direct, unknown.value

    version, tools, found, wrong, direct, unknown = talk(server, caller.secret, mode, conversation)
    assert version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
    assert {"search_customer", "send_message_propose", "send_message_commit", "observatory.status"} <= set(tools)
    assert not found.is_error
    assert found.structured_content["results"][0]["name"] == "ACME AB"
    assert json.loads(found.content[0].text) == found.structured_content
    assert (wrong.is_error, wrong.structured_content["code"]) == (True, "denied_schema")
    assert (direct.is_error, direct.structured_content["code"]) == (True, "two_phase_required")
    assert (unknown.error.code, unknown.error.data["code"]) == (-32602, "unknown_tool")
    assert set(Span.objects.values_list("door", flat=True)) == {"mcp"}
    assert AuditEvent.objects.filter(type="call.denied").count() == 3
