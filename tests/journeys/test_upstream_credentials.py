"""What an upstream is shown: a credential of its own, or each agent's, and nothing else of anybody's."""

import json

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM
from tests.upstreams import notebook
from tests.upstreams.deciding import accepted
from tools.actions.upstream_offers import look_at
from tools.actions.upstreams import remove_agent_credential, save_upstream, store_agent_credential, upstream_problems
from tools.models import Tool, Upstream, UpstreamCredential
from tools.upstreams.pool import POOL

pytestmark = pytest.mark.django_db
NAME = "notes"
FAR = "https://mcp.example.com"
SECRET = "nb-secret-4711"  # canary: must stand nowhere


@pytest.fixture
def caller(world):
    return world.caller(world.policy("agents", {"tools": f"{NAME}.*", "effect": "allow"}))


@pytest.fixture
def each_its_own(folder):
    found = save_upstream(
        Upstream(
            name=NAME,
            transport="stdio",
            command="notebook",
            credential="per_agent",
            credential_name="NOTEBOOK_TOKEN",
        ),
        SYSTEM,
    )
    look_at(found)
    accepted(found, "whoami", read_only=True)
    yield found
    POOL.forget(found.pk)


def said(answer):
    return answer.json()["content"][0]["text"]


def test_each_agent_shows_its_own_credential_and_never_anothers(each_its_own, world, caller):
    other = world.caller(caller.key.policy, name="other-agent")
    store_agent_credential(each_its_own, caller.key.agent, SECRET, SYSTEM)
    assert said(caller.call("notes.whoami")) == SECRET
    without = other.call("notes.whoami")
    assert (without.status_code, without.json()["code"]) == (502, "credential_missing")
    store_agent_credential(each_its_own, other.key.agent, "of the other", SYSTEM)
    assert [said(who.call("notes.whoami")) for who in (other, caller)] == ["of the other", SECRET]
    remove_agent_credential(UpstreamCredential.objects.get(agent=caller.key.agent), SYSTEM)
    assert caller.call("notes.whoami").json()["code"] == "credential_missing"
    assert said(other.call("notes.whoami")) == "of the other"


def test_a_stored_credential_opens_for_its_agent_only(each_its_own, world, caller):
    other = world.caller(caller.key.policy, name="other-agent")
    store_agent_credential(each_its_own, caller.key.agent, SECRET, SYSTEM)
    UpstreamCredential.objects.create(
        upstream=each_its_own,
        agent=other.key.agent,
        sealed_secret=UpstreamCredential.objects.get(agent=caller.key.agent).sealed_secret,
    )
    assert other.call("notes.whoami").json()["code"] == "tool_unreachable"


def test_a_credential_stands_nowhere_in_the_clear(each_its_own, caller):
    store_agent_credential(each_its_own, caller.key.agent, SECRET, SYSTEM)
    caller.call("notes.whoami")
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed_secret FROM tools_upstreamcredential")
        assert SECRET.encode() not in bytes(cursor.fetchone()[0])
    assert not any(SECRET in event.data for event in AuditEvent.objects.all())
    assert caller.secret not in json.dumps(list(AuditEvent.objects.values_list("data", flat=True)))


def test_the_callers_key_and_our_environment_are_not_passed_on(each_its_own, caller, folder):
    store_agent_credential(each_its_own, caller.key.agent, SECRET, SYSTEM)
    accepted(each_its_own, "add_note")
    caller.call("notes.add_note", {"text": "x"})
    (call,) = notebook.calls(folder)
    assert caller.secret not in json.dumps(call)
    assert set(call["meta"]) <= {"traceparent", "org.mcp-observatory/idempotencyKey", "progressToken"} | {
        name for name in call["meta"] if name.startswith("io.modelcontextprotocol/")
    }
    assert not {"DATABASE_URL", "SECRET_KEY", "OBSERVATORY_MASTER_SECRET"} & set(call["environment"])


def test_elsewhere_is_another_server_to_which_nothing_is_shown(each_its_own, world, caller, settings):
    store_agent_credential(each_its_own, caller.key.agent, SECRET, SYSTEM)
    tool = Tool.objects.get(name="notes.whoami")
    settings.MCP_COMMANDS |= {"elsewhere": ["other-program"]}
    each_its_own.command = "elsewhere"
    save_upstream(each_its_own, SYSTEM)
    assert not UpstreamCredential.objects.exists()
    before = tool.current_version_id
    tool.refresh_from_db()
    assert tool.current_version_id != before


@pytest.mark.parametrize(
    ("fields", "secret", "field"),
    [
        ({"transport": "stdio", "command": "rm"}, None, "command"),
        ({"transport": "stdio", "command": "notebook", "url": FAR}, None, "url"),
        ({"url": "ws://mcp.example.com"}, None, "url"),
        ({"url": "http://169.254.169.254/mcp"}, None, "url"),
        ({"url": "http://127.0.0.1/mcp"}, None, "url"),
        ({"url": "https://user:pw@mcp.example.com/mcp"}, None, "url"),
        ({"url": "file:///etc/passwd"}, None, "url"),
        ({"transport": "websocket", "url": FAR}, None, "url"),
        (
            {"url": FAR, "credential": "shared", "credential_name": "Authorization"},
            None,
            "secret",
        ),
        ({"url": FAR, "credential": "shared", "credential_name": "Host"}, "x", "credential_name"),
        ({"url": FAR, "credential": "shared", "credential_name": "A"}, "a\nb", "secret"),
        (
            {"transport": "stdio", "command": "notebook", "credential": "shared", "credential_name": "LD_PRELOAD"},
            "x",
            "credential_name",
        ),
        ({"url": FAR, "name": "observatory"}, None, "name"),
    ],
)
def test_what_an_operator_may_not_set(folder, fields, secret, field):
    with pytest.raises(ValidationError) as refused:
        save_upstream(Upstream(**{"name": NAME} | fields), SYSTEM, secret=secret)
    assert field in refused.value.message_dict
    assert not Upstream.objects.exists()


def test_a_stored_secret_does_not_follow_to_another_host(folder, settings):
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    shared = {"credential": "shared", "credential_name": "Authorization"}
    upstream = save_upstream(Upstream(name=NAME, url="https://127.0.0.1:1/mcp", **shared), SYSTEM, secret=SECRET)
    for elsewhere in ("https://127.0.0.1:2/mcp", "https://127.0.0.1:1/@other-tenant/mcp"):
        upstream.url = elsewhere
        with pytest.raises(ValidationError, match="type the credential"):
            save_upstream(upstream, SYSTEM)
    upstream.url = "https://127.0.0.1:1/mcp"
    upstream.description = "The same place."
    save_upstream(upstream, SYSTEM)
    assert SECRET.encode() not in bytes(Upstream.objects.get().sealed_secret)


@pytest.mark.parametrize(
    ("variable", "is_taken"),
    [
        ("UV_DEFAULT_INDEX", False),  # whose packages uvx installs and runs
        ("NPM_CONFIG_REGISTRY", False),  # the same of npx
        ("JAVA_TOOL_OPTIONS", False),
        ("GIT_SSH_COMMAND", False),
        ("SSH_ASKPASS", False),
        ("LD_PRELOAD", False),
        ("PATH", False),
        ("GITHUB_TOKEN", True),
        ("OPENAI_API_KEY", True),
        ("DATABASE_URL", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("TOKEN", True),
    ],
)
def test_a_credential_travels_only_in_a_variable_that_makes_no_program_run_another(folder, variable, is_taken):
    upstream = Upstream(name=NAME, transport="stdio", command="notebook", credential="shared", credential_name=variable)
    problems = upstream_problems(upstream, secret="https://elsewhere.example/simple")
    assert list(problems) == ([] if is_taken else ["credential_name"])
