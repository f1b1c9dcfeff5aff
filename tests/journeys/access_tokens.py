"""A client that holds an access token, and mappings as operators make them."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from telemetry.recorder import SYSTEM
from tests.issuer import Issuer
from tools.actions.access_subjects import map_subject
from tools.models import AccessSubject, AgentKey

AUDIENCE = "https://tools.example.com/mcp"
METADATA_URL = "https://tools.example.com/.well-known/oauth-protected-resource/mcp"

FINE = (200, "")
REFUSED = (401, "unauthenticated")
DOORS = ("/tools/search_customer", "/mcp/tools", "/mcp")


@pytest.fixture
def issuer(settings: Any) -> Iterator[Issuer]:
    """A running issuer whose tokens are taken."""
    running = Issuer(AUDIENCE)
    settings.OAUTH_ISSUER, settings.OAUTH_AUDIENCE, settings.OAUTH_JWKS_URL = running.url, AUDIENCE, ""
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    yield running
    running.stop()


@pytest.fixture
def caller(world: Any, issuer: Issuer) -> Any:
    """An agent whose key the issuer's tokens of alice act as."""
    caller = world.caller(world.allowing())
    mapped(issuer, caller.key)
    return caller


def days(number: int) -> int:
    return int(time.time()) + number * 86_400


def mapped(issuer: Any, key: AgentKey, value: str = "alice-at-the-issuer", kind: str = "subject") -> AccessSubject:
    return map_subject(AccessSubject(issuer=issuer.url, kind=kind, value=value, key=key), SYSTEM, timezone.now())


def ask(token: str | None, path: str = "/tools/search_customer", body: Any = None, **headers: str) -> Any:
    """A POST with a body, else a GET for the paths that have none."""
    http = Client(raise_request_exception=False)
    sent = ({} if token is None else {"Authorization": f"Bearer {token}"}) | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    if path in ("/mcp/tools", "/audit/events"):
        return http.get(path, headers=sent)
    if path == "/mcp":
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    return http.post(path, json.dumps(body or {"query": "acme"}), content_type="application/json", headers=sent)


def verdict(answer: Any) -> tuple[int, str]:
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["code"]
