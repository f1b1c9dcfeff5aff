"""Agents and keys through their actions. What the door answers to each bad key: tests/journeys/test_keys.py."""

import datetime as dt
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM
from tools.actions.agents import change_key, issue_key, revoke_key, rotate_key, save_agent
from tools.credentials import digest_of, new_credential, well_formed
from tools.models import Agent, AgentKey

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


def ask(caller: Any, secret: str | None = None) -> Any:
    headers = {"X-API-Key": caller.secret if secret is None else secret}
    return caller.http.post(
        "/tools/search_customer", '{"query": "a"}', content_type="application/json", headers=headers
    )


def events(*types: str) -> list[str]:
    return list(AuditEvent.objects.filter(type__in=types).order_by("id").values_list("type", flat=True))


def test_agent_when_renamed_is_refused(world: Any) -> None:
    agent = save_agent(Agent(name="a", owner=world.alice), SYSTEM)
    agent.name = "b"
    with pytest.raises(ValidationError) as refused:
        save_agent(agent, SYSTEM)
    assert "name" in refused.value.error_dict
    assert Agent.objects.get().name == "a"


def test_key_when_issued_keeps_the_digest_only(world: Any) -> None:
    caller = world.caller(world.allowing())
    key = AgentKey.objects.get()
    assert key.digest == digest_of(caller.secret)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tools_agentkey::text FROM tools_agentkey")
        assert caller.secret[-49:] not in cursor.fetchone()[0]
    assert not AuditEvent.objects.filter(data__contains=caller.secret[-49:]).exists()
    assert events("agent.created", "key.created") == ["agent.created", "key.created"]


def test_key_when_its_public_id_is_taken_is_not_issued(world: Any) -> None:
    first = world.caller(None).key
    second = AgentKey(agent=first.agent, owner=world.alice)
    with pytest.raises(ValidationError):
        issue_key(second, SYSTEM, public_id=first.public_id)
    assert AgentKey.objects.count() == 1


@pytest.mark.parametrize("length", [0, 1, 8, 43])
def test_credential_when_made_is_well_formed_and_cut_is_not(length: int) -> None:
    text = new_credential().text
    assert well_formed(text)
    assert not well_formed(text[:length])
    assert not well_formed(text[:-1] + ("A" if text[-1] != "A" else "B"))


def test_key_when_changed_says_what_changed(world: Any) -> None:
    key = world.caller(world.allowing()).key
    key.rate, key.scopes = "5/m", []
    change_key(key, SYSTEM)
    facts = AuditEvent.objects.get(type="key.changed").facts
    assert facts["rate"] == {"from": "100000/m", "to": "5/m"}
    assert facts["scopes"]["to"] == []


@pytest.mark.parametrize(
    ("expires_h", "grace_h", "ends_h"),
    [
        (None, 0, 0),
        (None, 24, 24),
        (5, 24, 5),  # a grace does not lengthen a key's life
        (48, 24, 24),
    ],
)
def test_key_when_rotated_ends_with_its_grace(world: Any, expires_h: int | None, grace_h: int, ends_h: int) -> None:
    now = timezone.now() + dt.timedelta(minutes=1)
    expires = now + expires_h * HOUR if expires_h else None
    old = world.caller(world.allowing(), expires_at=expires).key
    new, credential = rotate_key(old, SYSTEM, grace_h * HOUR, now)
    old.refresh_from_db()
    ends = now + ends_h * HOUR
    assert old.expires_at == ends
    assert old.state(ends - dt.timedelta(microseconds=1)) in ("replaced", "expired")
    assert old.state(ends) == "expired"
    assert (new.policy, new.scopes, new.rate, new.expires_at) == (old.policy, old.scopes, old.rate, expires)
    assert new.digest == digest_of(credential.text)
    assert events("key.rotated") == ["key.rotated"]


@pytest.mark.parametrize("state", ["replaced", "revoked", "expired"])
def test_key_when_not_active_is_not_rotated(world: Any, state: str) -> None:
    key, now = world.caller(None).key, timezone.now() + HOUR
    if state == "replaced":
        rotate_key(key, SYSTEM, HOUR, now)
    elif state == "revoked":
        revoke_key(key, SYSTEM, now)
    else:
        AgentKey.objects.filter(pk=key.pk).update(expires_at=now)
    with pytest.raises(ValidationError):
        rotate_key(key, SYSTEM, HOUR, now)


@pytest.mark.parametrize("grace", [-HOUR, dt.timedelta(days=30, seconds=1)])
def test_grace_when_out_of_bounds_is_refused(world: Any, grace: dt.timedelta) -> None:
    with pytest.raises(ValidationError):
        rotate_key(world.caller(None).key, SYSTEM, grace, timezone.now())


def test_key_when_rotated_both_work_within_the_grace_and_only_the_new_after(world: Any) -> None:
    caller = world.caller(world.allowing())
    _, credential = rotate_key(caller.key, SYSTEM, HOUR, timezone.now())
    assert [ask(caller).status_code, ask(caller, credential.text).status_code] == [200, 200]
    ended = timezone.now() - dt.timedelta(microseconds=1)
    AgentKey.objects.filter(pk=caller.key.pk).update(created_at=ended - HOUR, expires_at=ended)
    assert [ask(caller).status_code, ask(caller, credential.text).status_code] == [401, 200]


def test_key_when_revoked_twice_is_revoked_once(world: Any) -> None:
    key, now = world.caller(None).key, timezone.now()
    assert [revoke_key(key, SYSTEM, now), revoke_key(key, SYSTEM, now)] == [True, False]
    assert events("key.revoked") == ["key.revoked"]
