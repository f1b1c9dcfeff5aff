"""The page that tells clients of an installation, for a key: everything but the secret."""

import json
import re
from html import unescape

import pytest
from django.urls import reverse

from telemetry.models import AuditEvent
from tests.journeys.people import chief, signed_in
from tests.journeys.test_admin_keys import new_key_form
from tools.client_snippets import KEY_PLACEHOLDER
from tools.models import AgentKey


def connect(key):
    return reverse("admin:tools_agentkey_connect", args=[key.pk])


def shown(client, key):
    """The texts of the page, by the client that each is for."""
    page = client.get(connect(key)).content.decode()
    return {
        slug: unescape(text) for slug, text in re.findall(r'<pre id="snippet-([\w-]+)"[^>]*>(.*?)</pre>', page, re.S)
    }


@pytest.mark.django_db
def test_it_shows_this_address_and_never_the_secret(world, settings):
    caller, client = world.caller(world.allowing()), signed_in(chief(world))
    texts = shown(client, caller.key)
    assert {"claude-code", "claude-desktop", "cursor", "vs-code", "python", "typescript", "curl"} <= set(texts)
    for slug, text in texts.items():
        assert "http://testserver/mcp" in text, slug
        assert (KEY_PLACEHOLDER in text) is (slug != "vs-code"), slug
        assert caller.secret not in text
    assert json.loads(texts["cursor"])["mcpServers"]["observatory"]["url"] == "http://testserver/mcp"
    assert "--allow-http" in json.loads(texts["claude-desktop"])["mcpServers"]["observatory"]["args"]
    settings.PUBLIC_URL = "https://gate.example.com/"
    texts = shown(client, caller.key)
    assert all("https://gate.example.com/mcp" in text for text in texts.values())
    assert "--allow-http" not in texts["claude-desktop"]


@pytest.mark.django_db
def test_it_is_found_from_the_key_and_from_its_one_showing(world):
    caller, client = world.caller(None), signed_in(chief(world))
    page = client.get(reverse("admin:tools_agentkey_change", args=[caller.key.pk])).content.decode()
    assert connect(caller.key) in page
    form = new_key_form(client, caller.key.agent, world.alice)
    showing = client.post(reverse("admin:tools_agentkey_add"), form).content.decode()
    assert connect(AgentKey.objects.exclude(pk=caller.key.pk).get()) in showing


@pytest.mark.django_db
def test_it_changes_nothing_and_is_for_those_who_may_see_keys(world, client):
    caller = world.caller(world.allowing())
    before = AuditEvent.objects.count()
    assert signed_in(world.charlie).get(connect(caller.key)).status_code == 403
    assert client.get(connect(caller.key)).status_code == 302
    assert signed_in(chief(world)).get(connect(caller.key)).status_code == 200
    assert AuditEvent.objects.count() == before
