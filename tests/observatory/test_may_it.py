"""“May it?” for people: the answer, its reasons, one audit event, and nothing else."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from observatory.groups import AUDITORS, POLICY_EDITORS
from telemetry.models import AuditEvent, Span
from telemetry.recorder import SYSTEM
from tests.world import World
from tools.actions.agents import revoke_key
from tools.models import KillSwitch, Tool

pytestmark = pytest.mark.django_db

ADDRESS = "/admin/may-it/"


@pytest.fixture
def asker(world: World) -> Client:
    """dora, an auditor: she may look and ask, and change nothing."""
    client = Client()
    client.force_login(world.person("dora", AUDITORS))
    return client


def ask(client: Client, key: str, tool: str, arguments: str = "") -> Any:
    response = client.post(ADDRESS, {"key": key, "tool": tool, "arguments": arguments})
    assert response.status_code == 200
    return response.context["answer"]


def events() -> Any:
    return AuditEvent.objects.filter(type="access.explained")


def test_answer_when_a_rule_allows_names_rule_and_revision(world: World, asker: Client) -> None:
    caller = world.caller(world.allowing("search_customer"))
    answer = ask(asker, str(caller.key), "search_customer", '{"query": "ACME"}')
    assert (answer["code"], answer["rule"], answer["revision"]) == ("allowed", "rule 1", 1)
    assert [rule["word"] for rule in answer["rules"]] == ["yes"]
    assert all(stage["word"] == "goes on" for stage in answer["stages"])


def test_answer_when_a_rule_denies_says_which(world: World, asker: Client) -> None:
    policy = world.policy(
        "two",
        {"tools": "search_customer", "effect": "allow"},
        {"tools": "*", "effect": "deny", "name": "Not ACME", "conditions": [("args.query", "equals", "ACME")]},
    )
    caller = world.caller(policy)
    answer = ask(asker, caller.key.public_id, "search_customer", '{"query": "ACME"}')
    assert (answer["code"], answer["rule"]) == ("denied_policy", "Not ACME")
    assert [stage["word"] for stage in answer["stages"] if stage["name"] == "policy"] == ["denies"]
    assert answer["stages"][-1]["word"] == "not asked"


def test_answer_when_the_tool_is_invisible_says_why(world: World, asker: Client) -> None:
    caller = world.caller(world.allowing("search_customer"))
    assert ask(asker, str(caller.key), "send_message")["invisible_because"] == "No rule allows send_message."
    assert ask(asker, str(caller.key), "nothing_such")["invisible_because"] == "No tool has this name."
    Tool.objects.filter(name="search_customer").update(enabled=False)
    assert ask(asker, str(caller.key), "search_customer")["invisible_because"] == "The tool is switched off."


def test_answer_when_the_key_is_revoked_is_401_whatever_the_policy(world: World, asker: Client) -> None:
    caller = world.caller(world.allowing())
    revoke_key(caller.key, SYSTEM, timezone.now())
    answer = ask(asker, str(caller.key), "search_customer")
    assert answer["tone"] == "tag-bad"
    assert "revoked at" in answer["unusable"]
    assert events().count() == 1


def test_answer_when_the_owner_is_switched_off(world: World, asker: Client) -> None:
    caller = world.caller(world.allowing())
    world.alice.is_active = False
    world.alice.save()
    assert "alice" in ask(asker, str(caller.key), "search_customer")["unusable"]


def test_answer_when_frozen(world: World, asker: Client) -> None:
    caller = world.caller(world.allowing())
    KillSwitch.objects.create(scope="everything", reason="drill", engaged_by="bob")
    assert ask(asker, str(caller.key), "search_customer")["code"] == "frozen"


def test_asking_leaves_one_event_and_nothing_else(world: World, asker: Client) -> None:
    caller = world.caller(world.allowing())
    others = AuditEvent.objects.count()
    ask(asker, str(caller.key), "create_ticket", '{"customer": "ACME AB", "title": "x"}')
    event = events().get()
    assert (event.actor, event.actor_kind, event.subject) == (
        "dora",
        "operator",
        f"billing-agent {caller.key.public_id}",
    )
    assert "ACME" not in event.data
    assert AuditEvent.objects.count() == others + 1
    assert not Span.objects.exists()


def test_opening_the_form_asks_nothing(world: World, asker: Client) -> None:
    caller = world.caller(world.allowing())
    response = asker.get(ADDRESS, {"key": str(caller.key), "tool": "search_customer"})
    assert response.context["answer"] is None
    assert str(caller.key) in response.content.decode()
    assert not events().exists()


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("arguments", {"arguments": '{"a": 1, "a": 2}'}),
        ("arguments", {"arguments": "[1]"}),
        ("arguments", {"arguments": '{"a": NaN}'}),
        ("key", {"key": "nobody"}),
        ("tool", {"tool": ""}),
    ],
)
def test_input_when_wrong_is_refused_at_its_field(
    world: World, asker: Client, field: str, sent: dict[str, str]
) -> None:
    caller = world.caller(world.allowing())
    response = asker.post(ADDRESS, {"key": str(caller.key), "tool": "search_customer"} | sent)
    assert list(response.context["form"].errors) == [field]
    assert not events().exists()


def test_agent_when_named_alone_is_its_newest_key(world: World, asker: Client) -> None:
    policy = world.allowing()
    world.caller(policy)
    newest = world.caller(policy)
    assert ask(asker, "billing-agent", "search_customer")["key"] == newest.key


def test_page_when_not_permitted(world: World) -> None:
    client = Client()
    client.force_login(world.charlie)
    assert client.get(ADDRESS).status_code == 403
    assert client.post(ADDRESS, {}).status_code == 403
    assert Client().get(ADDRESS).status_code == 302


def test_post_when_without_a_csrf_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.person("erin", POLICY_EDITORS))
    assert client.post(ADDRESS, {"key": "x", "tool": "y"}).status_code == 403


def test_texts_when_hostile_are_shown_as_text(world: World, asker: Client) -> None:
    hostile = "<script>alert(1)</script>"
    policy = world.policy(
        "p", {"tools": "*", "effect": "deny", "name": hostile, "conditions": [("args.x", "equals", hostile)]}
    )
    caller = world.caller(policy)
    response = asker.post(ADDRESS, {"key": str(caller.key), "tool": f"{hostile}\u202e", "arguments": ""})
    page = response.content.decode()
    assert hostile not in page
    assert "⟦U+202E⟧" in page
