"""The key of requests that carry none: what it lends, to whom, and where it is refused."""

import pytest
from django.core.checks import run_checks

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def ping(client, **headers):
    return client.post("/mcp", PING, content_type="application/json", headers=headers).status_code


@pytest.mark.django_db
def test_it_is_lent_where_no_credential_came_in_a_demonstration_only(world, client, settings):
    key = world.caller(world.allowing()).secret
    assert ping(client) == 401
    settings.MCP_TEST_KEY = key
    assert ping(client) == 200
    assert client.get("/mcp/tools").status_code == 401
    settings.DEMO = False
    assert ping(client) == 401
    settings.DEBUG = True
    assert ping(client) == 200


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
@pytest.mark.parametrize("credential", ["", "Bearer ", "Basic YTpi", "mo_test_x"])
def test_a_credential_is_never_replaced_however_wrong_it_is(world, client, settings, header, credential):
    settings.MCP_TEST_KEY = world.caller(world.allowing()).secret
    assert ping(client, **{header: credential}) == 401


def test_a_deployment_is_refused_with_it(settings):
    def found():
        return [problem.id for problem in run_checks(tags=["security"], include_deployment_checks=True)]

    assert "observatory.E006" not in found()
    settings.MCP_TEST_KEY = "mo_test_x"
    assert "observatory.E006" in found()
