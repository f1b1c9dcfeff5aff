"""MCP at the public door, by its official client and by hand: every era, guarded and recorded as REST is."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from django.utils import timezone
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from approvals.actions import decide
from observatory.demo.models import Ticket
from telemetry.models import AuditEvent, Span
from tests.journeys.proposals import SAME
from tests.serving import serving
from tools.scopes import Scope

MODES = ["legacy", "auto", "2026-07-28"]
META = "org.mcp-observatory/"


@pytest.fixture
def caller(world):
    return world.caller(world.two_phase("send_message", name="agents"))


# the official client, over HTTP


@pytest.fixture
def server(caller, tmp_path):
    with serving(tmp_path) as running:
        yield running


def talk(server, secret, mode, conversation):
    """What the conversation with a connected client answered."""

    async def run():
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=30) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as client,
        ):
            return await conversation(client)

    # In a thread of its own: a browser of another test may keep a running loop in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, run()).result(timeout=60)


@pytest.mark.django_db(transaction=True)
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


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_the_official_client_proposes_commits_and_waits_for_a_person(world, caller, server, mode):
    async def conversation(client):
        flat = {"channel": "#a", "message": "hi"}
        proposal = (
            await client.call_tool("send_message_propose", flat | {"candidate_outputs": SAME})
        ).structured_content
        proof = {name: proposal[name] for name in ("proposal_id", "commit_token")}
        done = await client.call_tool("send_message_commit", flat | proof)
        again = await client.call_tool("send_message_commit", flat | proof)
        change = {"customer_id": world.acme.pk, "new_status": "vip"}
        held = (await client.call_tool("update_customer_status", change)).structured_content
        asked = {"pending_action_id": held["pending_action_id"]}
        waits = await client.call_tool("observatory.status", asked)
        await asyncio.to_thread(agreed, world, held["pending_action_id"])
        return proposal, done, again, held, waits, await client.call_tool("observatory.status", asked)

    proposal, done, again, held, waits, ran = talk(server, caller.secret, mode, conversation)
    assert proposal["status"] == "allowed"
    assert (done.is_error, done.structured_content["status"]) == (False, "committed")
    assert (again.is_error, again.structured_content["reason"]) == (True, "nonce_replay")
    assert held["status"] == "pending_approval"
    assert waits.structured_content["status"] == "pending"
    assert ran.structured_content["status"] == "approved"


def agreed(world, action_id):
    from django.db import connection

    decide(action_id, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    connection.close()


# by hand


def rpc(caller, method, params=None, request_id=1, **headers):
    body = {"jsonrpc": "2.0", "method": method} | ({"params": params} if params is not None else {})
    return caller.post("/mcp", body | ({} if request_id is None else {"id": request_id}), **headers)


def call(caller, tool, arguments, **meta):
    params = {"name": tool, "arguments": arguments} | ({"_meta": meta} if meta else {})
    return rpc(caller, "tools/call", params).json()["result"]


@pytest.mark.django_db
def test_the_handshake_needs_no_session(world, caller):
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    answer = rpc(caller, "initialize", hello)
    assert answer.json()["result"]["protocolVersion"] == "2025-06-18"
    # A session names the client's calls, so that it can take one back; nobody has to have one.
    assert answer["Mcp-Session-Id"]
    assert rpc(caller, "notifications/initialized", request_id=None).status_code == 202
    assert rpc(caller, "ping").json() == {"jsonrpc": "2.0", "id": 1, "result": {}}


@pytest.mark.django_db
def test_an_idempotency_key_travels_in_meta_or_header_and_never_is_the_request_id(world, caller):
    arguments = {"customer_id": world.acme.pk, "title": "Once"}
    first = call(caller, "create_ticket", arguments, **{META + "idempotencyKey": "k"})
    again = call(caller, "create_ticket", arguments, **{META + "idempotencyKey": "k"})
    header = rpc(caller, "tools/call", {"name": "create_ticket", "arguments": arguments}, Idempotency_Key="k").json()
    assert first["structuredContent"]["idempotent_replay"] is False
    assert again["structuredContent"]["idempotent_replay"] is True
    assert again["_meta"][META + "replayed"] is True
    assert header["result"]["structuredContent"]["ticket"] == first["structuredContent"]["ticket"]
    assert Ticket.objects.count() == 1
    call(caller, "create_ticket", arguments)
    assert Ticket.objects.count() == 2


@pytest.mark.django_db
def test_a_trace_goes_on_in_meta(world, caller):
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    result = call(caller, "search_customer", {"query": "a"}, traceparent=parent)
    assert result["_meta"][META + "traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"


REFUSED = [
    (b"{", 400, -32700),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}', 400, -32700),
    (b"[]", 400, -32600),
    (b'{"jsonrpc":"2.0","id":1}', 400, -32600),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', 400, -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"prompts/list"}', 200, -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"no/such"}', 200, -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}', 200, -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}', 200, -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ping","arguments":[]}}', 200, -32602),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("body", "status", "code"), REFUSED)
def test_a_message_that_is_none_is_answered_by_its_error(world, caller, body, status, code):
    answer = caller.post("/mcp", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


STATELESS = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
HEADERS = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": "tools/call", "Mcp_Name": "search_customer"}


@pytest.mark.django_db
def test_the_stateless_era_compares_headers_and_body(world, caller):
    params = {"name": "search_customer", "arguments": {"query": "a"}, "_meta": STATELESS}
    good = rpc(caller, "tools/call", params, **HEADERS).json()["result"]
    assert (good["resultType"], good["isError"]) == ("complete", False)
    assert good["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "mcp-observatory"
    for wrong in ({"Mcp_Name": "create_ticket"}, {"Mcp_Method": "tools/list"}):
        answer = rpc(caller, "tools/call", params, **(HEADERS | wrong))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
    unknown = rpc(caller, "no/such", {"_meta": STATELESS}, **(HEADERS | {"Mcp_Method": "no/such"}))
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, -32601)
    other = rpc(caller, "tools/list", {"_meta": STATELESS}, MCP_Protocol_Version="2031-01-01", Mcp_Method="tools/list")
    assert other.status_code == 400


@pytest.mark.django_db
def test_keys_origins_and_methods_are_asked_before_anything_is_read(world, caller, settings):
    assert rpc(caller, "ping", X_API_Key="mo_test_x").status_code == 401
    assert "Bearer" in rpc(caller, "ping", X_API_Key="mo_test_x")["WWW-Authenticate"]
    reader = world.caller(caller.key.policy, scopes=[Scope.AUDIT_READ])
    assert rpc(reader, "tools/list").json()["code"] == "scope_missing"
    assert rpc(caller, "ping", Origin="https://evil.example.com").status_code == 403
    assert rpc(caller, "ping", Origin="http://testserver").status_code == 200
    settings.MCP_ALLOWED_ORIGINS = ["https://evil.example.com"]
    assert rpc(caller, "ping", Origin="https://evil.example.com").status_code == 200
    assert (caller.get("/mcp").status_code, caller.delete("/mcp").status_code) == (405, 405)
    assert caller.get("/mcp", Accept="text/event-stream").status_code == 405
    assert rpc(caller, "ping", Accept="text/html").status_code == 406
    form = caller.http.post("/mcp", "a=b", content_type="text/plain", headers={"X-API-Key": caller.secret})
    assert form.status_code == 415


@pytest.mark.django_db
def test_the_status_of_anothers_action_is_as_if_it_were_not_there(world, caller):
    change = {"customer_id": world.acme.pk, "new_status": "vip"}
    held = call(caller, "update_customer_status", change)["structuredContent"]["pending_action_id"]
    other = world.caller(caller.key.policy, name="other", owner=world.charlie)
    missing = "5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51"
    answers = [call(other, "observatory.status", {"pending_action_id": at}) for at in (held, missing)]
    assert all(answer["isError"] for answer in answers)
    for answer in answers:
        answer["structuredContent"].pop("trace_id")
    assert answers[0]["structuredContent"] == answers[1]["structuredContent"]
    wrong = call(caller, "observatory.status", {"pending_action_id": held, "wait_s": 31})
    assert wrong["structuredContent"]["code"] == "denied_schema"
