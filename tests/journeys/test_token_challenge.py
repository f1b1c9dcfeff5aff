"""What a client without a token, or with the wrong one, is told: where to get one, and for which scope."""

import pytest

from tests.journeys.access_tokens import (
    AUDIENCE,
    DOORS,
    METADATA_URL,
    ask,
    caller,
    issuer,
)

__all__ = ("caller", "issuer")
pytestmark = pytest.mark.django_db


# what a client is told


def test_the_metadata_says_whose_tokens_are_taken(client, issuer):
    for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
        answer = client.get(path)
        assert answer.json() == {
            "resource": AUDIENCE,
            "authorization_servers": [issuer.url],
            "scopes_supported": ["tools:call"],
            "bearer_methods_supported": ["header"],
            "resource_name": "MCP Observatory",
        }
        assert (answer["Access-Control-Allow-Origin"], answer["Cache-Control"]) == ("*", "public, max-age=300")
        asked = client.options(path, headers={"Access-Control-Request-Headers": "mcp-protocol-version"})
        assert (asked.status_code, asked["Access-Control-Allow-Headers"]) == (204, "MCP-Protocol-Version")


def test_there_is_no_metadata_where_no_issuer_is_set(client):
    for ask_for in (client.get, client.options):
        answer = ask_for("/.well-known/oauth-protected-resource/mcp")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_refusal_says_where_tokens_come_from(caller, issuer):
    start = f'Bearer realm="mcp-observatory", resource_metadata="{METADATA_URL}"'
    for path in [*DOORS, "/audit/events"]:
        scope = "audit:read" if path == "/audit/events" else "tools:call"
        assert ask(None, path)["WWW-Authenticate"] == f'{start}, scope="{scope}"'
        for wrong in (issuer.token(aud="x"), "nonsense"):
            assert ask(wrong, path)["WWW-Authenticate"] == f'{start}, error="invalid_token", scope="{scope}"'
        lacking = ask(issuer.token(scope="openid"), path)
        assert lacking["WWW-Authenticate"] == f'{start}, error="insufficient_scope", scope="{scope}"'
        assert lacking.status_code == 403


def test_the_host_of_a_request_has_no_say_in_it(caller, issuer):
    assert METADATA_URL in ask(None, Host="localhost")["WWW-Authenticate"]


def test_a_key_without_the_scope_is_not_sent_for_a_token(world, issuer):
    caller = world.caller(world.allowing(), scopes=[])
    answer = caller.get("/mcp/tools")
    assert (answer.status_code, "WWW-Authenticate" in answer) == (403, False)
