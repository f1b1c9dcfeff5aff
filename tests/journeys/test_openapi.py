"""The OpenAPI document: valid, whole, and true of what the doors answer."""

import json
import re

import pytest
import schemathesis
from django.test import Client
from django.urls import get_resolver
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.django_db
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
NOT_DOORS = ("admin/", "api/")


def document():
    accept = {"Accept": "application/vnd.oai.openapi+json"}
    return json.loads(Client().get("/api/schema/", headers=accept).content)


def test_every_address_is_in_the_document():
    routes = {str(p.pattern) for p in get_resolver().url_patterns if not str(p.pattern).startswith(NOT_DOORS)}
    described = {path.lstrip("/") for path in document()["paths"]}
    assert described == {re.sub(r"<str:(\w+)>", r"{\1}", route) for route in routes}


def test_it_is_openapi_3_1_and_names_both_ways_to_send_a_key():
    found = document()
    assert found["openapi"].startswith("3.1")
    assert set(found["components"]["securitySchemes"]) >= {"ApiKey", "Bearer"}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            keyed = not path.startswith(("/health", "/.well-known"))
            assert bool(operation.get("security")) is keyed, (path, method)


@pytest.mark.parametrize("path", ["/tools/{name}", "/confirm/{action_id}", "/mcp/tools", "/decisions"])
def test_what_a_developer_tries_first_has_examples(path):
    assert "example" in str(document()["paths"][path])


def test_the_document_needs_a_login_outside_the_demonstration(settings, world):
    assert Client().get("/api/schema/").status_code == 200
    settings.DEMO = False
    assert Client().get("/api/schema/").status_code in (401, 403)
    someone = Client()
    someone.force_login(world.charlie)
    assert someone.get("/api/schema/").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("keyed", [True, False], ids=["with a key", "without a key"])
def test_whatever_is_sent_every_answer_is_a_documented_one(live_server, world, keyed):
    caller = world.caller(world.allowing(self_confirm=True))
    headers = {"X-API-Key": caller.secret} if keyed else {}
    schema = schemathesis.openapi.from_url(f"{live_server.url}/api/schema/")
    seen: set[int] = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def ask(case):
            answer = case.call(headers=headers)
            seen.add(answer.status_code)
            case.validate_response(answer, checks=CHECKS)

        ask()
    assert seen >= ({200, 400, 404} if keyed else {200, 401})
