"""Agents and their keys in admin: a secret is shown once, and a key never does more than who issues it."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from telemetry.models import AuditEvent
from tests.journeys.people import chief, signed_in
from tools.models import Agent, AgentKey
from tools.scopes import Scope

PASSWORD = "correct horse battery"
NO_ROWS = {f"{rows}-{count}_FORMS": "0" for rows in ("keys", "upstream_credentials") for count in ("TOTAL", "INITIAL")}
HOSTILE = "<script>alert(1)</script>\u202evip\u200b" + " " * 9_900 + "\U000e0100the end"


def new_key_form(client: Client, of: Agent, owner: Any, **fields: Any) -> dict[str, Any]:
    page = client.get(reverse("admin:tools_agentkey_add")).content.decode()
    ticket = re.search(r'name="ticket" value="([^"]+)"', page)
    assert ticket
    return {
        "agent": of.pk,
        "owner": owner.pk,
        "policy": "",
        "scopes": [Scope.TOOLS_CALL],
        "rate": "600/m",
        "expires_at_0": "",
        "expires_at_1": "",
        "ticket": ticket[1],
    } | fields


@pytest.mark.django_db
def test_key_when_its_form_is_sent_twice_is_made_once_and_shown_once(world: Any) -> None:
    caller, client = world.caller(None), signed_in(chief(world))
    form = new_key_form(client, caller.key.agent, world.alice)
    first = client.post(reverse("admin:tools_agentkey_add"), form)
    key = AgentKey.objects.exclude(pk=caller.key.pk).get()
    secret = re.search(r"mo_test_\w{8}_[\w-]+", first.content.decode())
    assert secret
    assert f"_{key.public_id}_" in secret[0]
    assert "no-store" in first["Cache-Control"]
    again = client.post(reverse("admin:tools_agentkey_add"), form)
    assert again.status_code == 409
    assert secret[0] not in again.content.decode()
    assert AgentKey.objects.count() == 2
    assert secret[0] not in json.dumps(dict(client.session))
    assert secret[0] not in client.get(reverse("admin:tools_agentkey_change", args=[key.pk])).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rate": "often"}, "rate"),
        ({"expires_at_0": "2001-01-01", "expires_at_1": "00:00:00"}, ""),
        ({"agent": ""}, "agent"),
        ({"ticket": "made up"}, ""),
    ],
)
def test_key_when_its_form_is_wrong_is_not_made(world: Any, fields: dict[str, str], field: str) -> None:
    caller, client = world.caller(None), signed_in(chief(world))
    page = client.post(
        reverse("admin:tools_agentkey_add"), new_key_form(client, caller.key.agent, world.alice, **fields)
    )
    assert page.status_code == 200
    errors = page.context["adminform"].form.errors
    assert field in errors if field else errors
    assert AgentKey.objects.count() == 1


@pytest.mark.django_db
def test_key_that_votes_when_issued_for_somebody_else_is_refused(world: Any) -> None:
    caller = world.caller(None)
    editor = world.person("erin", "policy editors")
    client = signed_in(editor)
    form = new_key_form(client, caller.key.agent, world.bob, scopes=[Scope.ACTIONS_CONFIRM])
    page = client.post(reverse("admin:tools_agentkey_add"), form)
    assert "scopes" in page.context["adminform"].form.errors
    own = client.post(reverse("admin:tools_agentkey_add"), form | {"owner": editor.pk})
    assert "mo_test_" in own.content.decode()
    voting = world.caller(None, name="bobs-agent", owner=world.bob).key
    assert client.get(reverse("admin:tools_agentkey_rotate", args=[voting.pk])).status_code == 403


@pytest.mark.django_db
def test_key_when_rotated_shows_the_new_secret_once(world: Any) -> None:
    caller, client = world.caller(None), signed_in(chief(world))
    rotate = reverse("admin:tools_agentkey_rotate", args=[caller.key.pk])
    ticket = client.get(rotate).context["form"].initial["ticket"]
    page = client.post(rotate, {"grace_hours": "1", "ticket": ticket})
    assert "mo_test_" in page.content.decode()
    again = client.post(rotate, {"grace_hours": "1", "ticket": ticket})
    assert again.status_code == 409
    assert "mo_test_" not in again.content.decode()
    assert AgentKey.objects.count() == 2


@pytest.mark.django_db
def test_key_when_revoked_keeps_the_reason(world: Any) -> None:
    caller, client = world.caller(world.allowing()), signed_in(chief(world))
    revoke = reverse("admin:tools_agentkey_revoke", args=[caller.key.pk])
    client.get(revoke)
    assert caller.call("search_customer", {"query": "a"}).status_code == 200
    client.post(revoke, {"reason": "leaked"})
    assert caller.call("search_customer", {"query": "a"}).status_code == 401
    event = AuditEvent.objects.get(type="key.revoked")
    assert (event.actor, event.facts) == ("dora", {"reason": "leaked"})


@pytest.mark.django_db
def test_agent_when_changed_keeps_its_name(world: Any) -> None:
    agent, client = world.caller(None).key.agent, signed_in(chief(world))
    change = reverse("admin:tools_agent_change", args=[agent.pk])
    client.post(change, {"name": "other", "owner": world.bob.pk, "description": "Bills.", **NO_ROWS})
    agent.refresh_from_db()
    assert (agent.name, agent.owner, agent.description) == ("billing-agent", world.bob, "Bills.")
    assert AuditEvent.objects.filter(type="agent.changed", actor="dora").count() == 1
    assert client.get(reverse("admin:tools_agent_delete", args=[agent.pk])).status_code == 403
