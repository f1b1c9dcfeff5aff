"""The official MCP client finds its own way: from our 401 to the issuer, to a token, to a tool."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client

from telemetry.models import AuditEvent, RefusalCount
from tests.issuer import Issuer
from tests.journeys.access_tokens import mapped
from tests.serving import free_port, serving
from tools.models import UnmappedSubject


class Kept:
    """Where the client keeps its token."""

    tokens = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return None

    async def set_client_info(self, info):
        """The client is known beforehand."""


def talked(server, issuer, kept, mode):
    """What a tool call by a client without a token came to, as a future that is done."""

    async def run():
        provider = ClientCredentialsOAuthProvider(
            f"{server.url}/mcp", kept, "billing-bot", "s3cret", "client_secret_post", issuer=issuer.url
        )
        async with (
            httpx2.AsyncClient(auth=provider, timeout=30) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as client,
        ):
            return await client.call_tool("search_customer", {"query": "acme"})

    # In a thread of its own: a browser of another test may keep a running loop in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, run())


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_official_client_gets_a_token_for_us_and_calls_a_tool_once_it_is_mapped(world, tmp_path):
    caller = world.caller(world.allowing())
    port = free_port()
    audience = f"http://127.0.0.1:{port}/mcp"
    issuer = Issuer(audience)
    issuer.clients["billing-bot"] = {"secret": "s3cret", "scopes": {"tools:call"}}
    told = {
        "OBSERVATORY_OAUTH_ISSUER": issuer.url,
        "OBSERVATORY_OAUTH_AUDIENCE": audience,
        "OBSERVATORY_EGRESS_ALLOW": "127.0.0.0/8",
    }
    try:
        with serving(tmp_path, port=port, **told) as server:
            assert talked(server, issuer, Kept(), "legacy").exception(60) is not None
            seen = UnmappedSubject.objects.get()
            assert (seen.subject, seen.client) == ("", "billing-bot")
            assert RefusalCount.objects.filter(reason="subject_not_mapped").exists()
            mapped(issuer, caller.key, "billing-bot", kind="client")
            for mode in ("legacy", "2026-07-28"):
                found = talked(server, issuer, Kept(), mode).result(60)
                assert found.structured_content["results"][0]["name"] == "ACME AB"
    finally:
        issuer.stop()
    asked = issuer.clients["billing-bot"]["asked"]
    # The client asked for a token for us and for nobody else, with no more than our answer said.
    assert (asked["resource"], asked["scope"]) == (audience, "tools:call")
    events = AuditEvent.objects.filter(type="call.answered")
    assert {(event.actor, event.facts["access_subject"]) for event in events} == {
        ("billing-agent", "client billing-bot")
    }
    assert events.count() == 2
