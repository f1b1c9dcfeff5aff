"""Keys at the door: one answer for every failure; each act takes effect with the next call."""

import datetime as dt

import pytest
from django.utils import timezone

from telemetry.models import AuditEvent, RefusalCount
from telemetry.recorder import SYSTEM
from tools.actions.agents import revoke_key, rotate_key
from tools.credentials import checksum
from tools.scopes import Scope

pytestmark = pytest.mark.django_db


def same(answer):
    """What must be alike: status, headers and body, but for the trace."""
    body = {name: value for name, value in answer.json().items() if name != "trace_id"}
    headers = {k: v for k, v in answer.headers.items() if k not in ("X-Trace-Id", "traceparent")}
    return answer.status_code, body, headers


def failing_credentials(world, caller):
    expired = world.caller(caller.key.policy, name="expired", expires_at=timezone.now() + dt.timedelta(days=1))
    type(expired.key).objects.filter(pk=expired.key.pk).update(
        created_at=timezone.now() - dt.timedelta(days=2), expires_at=timezone.now() - dt.timedelta(days=1)
    )
    revoked = world.caller(caller.key.policy, name="revoked")
    revoke_key(revoked.key, SYSTEM, timezone.now())
    body = caller.secret[:-7] + ("A" if caller.secret[-7] != "A" else "B")
    return {
        "missing": None,
        "malformed": "nonsense",
        "too long": "x" * 5_000,
        "not ASCII": "m\u00f6_test",
        "unknown": body + checksum(body),
        "bad checksum": caller.secret[:-1] + ("0" if caller.secret[-1] != "0" else "1"),
        "expired": expired.secret,
        "revoked": revoked.secret,
    }


@pytest.mark.parametrize("path", ["/tools/search_customer", "/mcp/tools", "/audit/events", "/actions/x", "/results/x"])
def test_every_failure_is_answered_alike(world, path):
    caller = world.caller(world.allowing())

    def ask(credential):
        headers = {} if credential is None else {"X-API-Key": credential}
        if path.startswith("/tools"):
            return caller.http.post(path, {"query": "a"}, content_type="application/json", headers=headers)
        return caller.http.get(path, headers=headers)

    assert ask(caller.secret).status_code != 401
    answers = {name: same(ask(credential)) for name, credential in failing_credentials(world, caller).items()}
    first = answers["missing"]
    assert first[0] == 401
    assert first[1]["code"] == "unauthenticated"
    assert {name for name, answer in answers.items() if answer != first} == set()


def test_refusals_before_authentication_are_counted_not_written(world):
    caller = world.caller(world.allowing())
    events = AuditEvent.objects.count()
    for _ in range(3):
        caller.call("search_customer", {"query": "a"}, X_API_Key="nonsense")
    assert AuditEvent.objects.count() == events
    assert sum(RefusalCount.objects.values_list("count", flat=True)) == 3


@pytest.mark.parametrize("header", ["x-api-key", "bearer"])
def test_both_headers_carry_a_key(world, header):
    caller = world.caller(world.allowing())
    headers = {"X-API-Key": caller.secret} if header == "x-api-key" else {"Authorization": f"Bearer {caller.secret}"}
    answer = caller.http.get("/mcp/tools", headers=headers)
    assert answer.status_code == 200
    disagreeing = headers | {"X-API-Key": caller.secret, "Authorization": "Bearer another"}
    assert caller.http.get("/mcp/tools", headers=disagreeing).status_code == 401


def test_rotation_gives_both_keys_until_the_grace_ends(world):
    caller = world.caller(world.allowing())
    now = timezone.now()
    new, credential = rotate_key(caller.key, SYSTEM, dt.timedelta(hours=1), now)
    for secret in (caller.secret, credential.text):
        assert caller.http.get("/mcp/tools", headers={"X-API-Key": secret}).status_code == 200
    type(new).objects.filter(pk=caller.key.pk).update(
        created_at=now - dt.timedelta(hours=2), expires_at=now - dt.timedelta(seconds=1)
    )
    assert caller.http.get("/mcp/tools", headers={"X-API-Key": caller.secret}).status_code == 401
    assert caller.http.get("/mcp/tools", headers={"X-API-Key": credential.text}).status_code == 200


def test_a_revoked_key_is_refused_by_the_next_call(world):
    caller = world.caller(world.allowing())
    assert caller.call("search_customer", {"query": "a"}).status_code == 200
    revoke_key(caller.key, SYSTEM, timezone.now())
    assert caller.call("search_customer", {"query": "a"}).status_code == 401


def test_a_key_whose_owner_left_is_refused(world):
    caller = world.caller(world.allowing())
    assert caller.call("search_customer", {"query": "a"}).status_code == 200
    world.alice.is_active = False
    world.alice.save()
    assert caller.call("search_customer", {"query": "a"}).status_code == 401


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        (Scope.TOOLS_CALL, "get", "/mcp/tools"),
        (Scope.TOOLS_CALL, "post", "/tools/search_customer"),
        (Scope.TOOLS_CALL, "get", "/actions/5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51"),
        (Scope.TOOLS_CALL, "get", "/results/5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51"),
        (Scope.ACTIONS_CONFIRM, "post", "/confirm/5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51"),
        (Scope.DECISIONS_READ, "post", "/decisions"),
        (Scope.AUDIT_READ, "get", "/audit/events"),
    ],
)
def test_each_door_needs_its_scope(world, scope, method, path):
    policy = world.allowing()
    having = world.caller(policy, name="having", scopes=[scope])
    lacking = world.caller(policy, name="lacking", scopes=[s for s in Scope.values if s != scope])

    def ask(caller):
        return caller.post(path, {}) if method == "post" else caller.get(path)

    assert ask(having).status_code != 403
    refused = ask(lacking)
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


def test_a_new_key_may_do_nothing(world):
    caller = world.caller(None, scopes=[])
    assert caller.get("/mcp/tools").json()["code"] == "scope_missing"
    without_policy = world.caller(None, name="no-policy")
    assert without_policy.get("/mcp/tools").json() == {"tools": []}
    assert without_policy.call("search_customer", {"query": "a"}).json()["code"] == "unknown_tool"


def test_last_use_is_noted_at_most_once_a_minute(world):
    caller = world.caller(world.allowing())
    caller.call("search_customer", {"query": "a"})
    caller.key.refresh_from_db()
    first = caller.key.last_used_at
    assert first is not None
    caller.call("search_customer", {"query": "a"})
    caller.key.refresh_from_db()
    assert caller.key.last_used_at == first


def test_no_secret_is_stored(world):
    from django.db import connection

    caller = world.caller(world.allowing())
    caller.call("search_customer", {"query": "a"})
    secret = caller.secret.rsplit("_", 1)[-1]
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s', [f"%{secret}%"])
            assert cursor.fetchone()[0] == 0, table


def test_a_replaced_keys_grace_ends_no_later_whoever_saves_it(world):
    from django.core.exceptions import ValidationError

    from tools.actions.agents import change_key

    caller = world.caller(world.allowing())
    rotate_key(caller.key, SYSTEM, dt.timedelta(hours=1), timezone.now())
    caller.key.refresh_from_db()
    for later in (None, caller.key.expires_at + dt.timedelta(days=1)):
        caller.key.expires_at = later
        with pytest.raises(ValidationError):
            change_key(caller.key, SYSTEM)
    caller.key.refresh_from_db()
    caller.key.expires_at -= dt.timedelta(minutes=30)
    change_key(caller.key, SYSTEM)


def test_nobody_gives_a_key_what_they_may_not_do_themselves(world):
    from django.core.exceptions import ValidationError

    from telemetry.recorder import Actor
    from tools.actions.agents import issue_key
    from tools.models import AgentKey

    editor = world.person("eve", "policy editors")
    agent = world.caller(world.allowing()).key.agent
    for scope in (Scope.AUDIT_READ, Scope.ACTIONS_CONFIRM):
        key = AgentKey(agent=agent, owner=world.bob, scopes=[scope])
        with pytest.raises(ValidationError):
            issue_key(key, Actor("operator", str(editor.pk), "eve"))
    issue_key(
        AgentKey(agent=agent, owner=world.bob, scopes=[Scope.TOOLS_CALL]), Actor("operator", str(editor.pk), "eve")
    )


def test_an_invisible_tools_rate_tells_nothing(world):
    from tools.models import Tool

    Tool.objects.filter(name="create_ticket").update(rate="1/m")
    caller = world.caller(world.allowing("search_customer"))
    assert {caller.call("create_ticket", {}).status_code for _ in range(4)} == {404}


def test_a_denied_call_is_a_use_of_the_key_too(world):
    caller = world.caller(world.allowing("search_customer"))
    assert caller.call("create_ticket", {}).status_code == 404
    caller.key.refresh_from_db()
    assert caller.key.last_used_at is not None
