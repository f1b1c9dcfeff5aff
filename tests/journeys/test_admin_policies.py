"""Policies in admin: edited, published and rolled back in a real browser, and who may do none of that."""

import html
import json
import re
import urllib.error
import urllib.request
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client

from observatory.groups import AUDITORS, OPERATORS, POLICY_EDITORS
from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM
from tests.world import Caller, World
from tools.actions.drafts import save_rule
from tools.actions.policies import draft_of, sha256_of
from tools.actions.tools import save_http_tool
from tools.models import HttpEndpoint, Policy, Rule, Tool
from tools.policy.cel import compile_expression
from tools.policy.conditions import Condition, Operator
from tools.registry import Declaration

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
PASSWORD = "correct horse battery"


def call(live_server: Any, caller: Caller, tool: str, arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A call over HTTP, as an agent makes it."""
    request = urllib.request.Request(
        f"{live_server.url}/tools/{tool}",
        json.dumps(arguments).encode(),
        {"X-API-Key": caller.secret, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


# In a real browser. `page` fails on any console error; a dialog would be an alert(1) that ran.


@pytest.fixture
def editor(page: Any, live_server: Any, world: World) -> Any:
    """A page on which edda, a policy editor, is logged in; any dialog is an error."""
    world.person("edda", POLICY_EDITORS)
    dialogs: list[str] = []

    def note_dialog(dialog: Any) -> None:
        if dialog.type != "beforeunload":
            dialogs.append(dialog.message)
        dialog.accept()

    page.on("dialog", note_dialog)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{live_server.url}/admin/")
    page.fill("#id_username", "edda")
    page.fill("#id_password", PASSWORD)
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"{live_server.url}/admin/")
    yield page
    assert dialogs == []


@pytest.mark.django_db(transaction=True)
def test_policy_when_edited_published_and_rolled_back(editor: Any, live_server: Any, world: World) -> None:
    page, policy = editor, world.allowing("search_customer")
    caller = world.caller(policy)
    assert call(live_server, caller, "search_customer", {"query": "ACME"})[0] == 200

    page.goto(f"{live_server.url}/admin/tools/policy/")
    page.get_by_role("link", name="allowlist").click()
    page.get_by_role("link", name="Add rule").click()
    page.fill("#id_name", "Nobody asks for ACME")
    page.fill("#id_tools", "search_*")
    page.select_option("#id_effect", "deny")
    page.fill("#id_conditions-0-field", "args.query")
    page.select_option("#id_conditions-0-operator", "contains")
    page.fill("#id_conditions-0-value", "ACME")
    page.click("button[name=_save]")
    page.get_by_text("the draft differs").wait_for()
    assert call(live_server, caller, "search_customer", {"query": "ACME"})[0] == 200

    page.get_by_role("link", name="Publish…").click()
    page.get_by_text("Nobody asks for ACME").wait_for()
    page.fill("#id_note", "a drill")
    page.get_by_role("button", name="Publish as r2").click()
    page.get_by_text("draft as in force").wait_for()
    status, problem = call(live_server, caller, "search_customer", {"query": "ACME"})
    assert (status, problem["code"]) == (403, "denied_policy")
    denied = AuditEvent.objects.filter(type="call.denied").latest("pk")
    assert (denied.rule, denied.policy, denied.policy_revision) == ("Nobody asks for ACME", "allowlist", 2)
    assert call(live_server, caller, "search_customer", {"query": "Nordic"})[0] == 200

    page.get_by_role("link", name="Revisions").click()
    page.get_by_role("link", name="Roll back to r1…").click()
    page.get_by_text("removed").wait_for()
    page.get_by_role("button", name="Roll back to r1").click()
    page.get_by_text("In force: r3").wait_for()
    assert call(live_server, caller, "search_customer", {"query": "ACME"})[0] == 200
    actors = AuditEvent.objects.filter(type__in=["policy.drafted", "policy.published", "policy.rolled_back"])
    assert [event.actor for event in actors.filter(actor_kind="operator")] == ["edda"] * 3


@pytest.mark.django_db(transaction=True)
def test_rule_editor_when_something_is_wrong_says_so_at_the_field(editor: Any, live_server: Any, world: World) -> None:
    page, policy = editor, world.allowing()
    page.goto(f"{live_server.url}/admin/tools/rule/add/?policy={policy.pk}")
    page.fill("#id_name", "Wrong")
    page.fill("#id_tools", "Not a tool")
    page.fill("#id_expression", "args.amount > 5 &&\n  args.note === 'x'")
    page.fill("#id_conditions-0-field", "time.hour")
    page.select_option("#id_conditions-0-operator", "at_least")
    page.fill("#id_conditions-0-value", "noon")
    page.click("button[name=_save]")
    message = page.locator(".errorlist", has_text="Line 2, column")
    message.wait_for()
    excerpt = message.locator("pre.caret").inner_text().split("\n")
    assert excerpt[0] == "  args.note === 'x'"
    assert excerpt[1].strip() == "^"
    assert page.get_by_text("can't name a tool").is_visible()
    assert page.get_by_text("“noon” is not a number").is_visible()
    assert policy.rules.count() == 1


@pytest.mark.django_db(transaction=True)
def test_rule_editor_when_the_effect_changes_shows_its_fields_only(editor: Any, live_server: Any, world: World) -> None:
    page, policy = editor, world.allowing()
    page.goto(f"{live_server.url}/admin/tools/rule/add/?policy={policy.pk}")
    fields = {"rate": "#id_rate", "redact": "#id_redact_paths", "require_approval": "#id_quorum"}
    for effect in ("allow", "rate", "redact", "require_approval", "deny"):
        page.select_option("#id_effect", effect)
        assert {name for name, field in fields.items() if page.locator(field).is_visible()} == {effect} & set(fields)
    # What is hidden can't be wrong.
    page.select_option("#id_effect", "require_approval")
    page.fill("#id_quorum", "")
    page.select_option("#id_effect", "allow")
    page.fill("#id_name", "Fine")
    page.fill("#id_tools", "nothing_yet.*")
    page.click("button[name=_save]")
    page.get_by_text("names no tool that is known today").wait_for()
    assert policy.rules.get(name="Fine").quorum == 1


@pytest.mark.django_db(transaction=True)
def test_texts_when_hostile_are_text_on_every_page(editor: Any, live_server: Any, world: World) -> None:
    page, policy = editor, world.allowing(name="plain")
    rule = save_rule(
        Rule(policy=policy, name=HOSTILE[:120], tools="*", effect="deny", expression=f'args.x == "{HOSTILE}"'),
        SYSTEM,
        conditions=[Condition("args.y", Operator.EQUALS, HOSTILE)],
        groups=[],
    )
    Policy.objects.filter(pk=policy.pk).update(description=HOSTILE)
    caller = world.caller(policy)
    tool = an_http_tool(description=f"{HOSTILE}\u202e")
    for address in (
        "tools/policy/",
        f"tools/policy/{policy.pk}/change/",
        f"tools/policy/{policy.pk}/publish/",
        f"tools/rule/{rule.pk}/change/",
        f"tools/rule/{rule.pk}/delete/",
        "tools/tool/",
        f"tools/tool/{tool.pk}/change/",
    ):
        page.goto(f"{live_server.url}/admin/{address}")
        page.wait_for_load_state("networkidle")
    page.goto(f"{live_server.url}/admin/tools/policy/{policy.pk}/publish/")
    assert page.get_by_text(HOSTILE[:120], exact=True).first.is_visible()
    page.fill("#id_note", HOSTILE)
    page.get_by_role("button", name="Publish as").click()
    page.get_by_text("draft as in force").wait_for()
    page.goto(f"{live_server.url}/admin/tools/policy/{policy.pk}/revisions/2/")
    page.goto(f"{live_server.url}/admin/tools/tool/{tool.pk}/change/")
    assert "⟦U+202E⟧" in page.locator("p.told").first.inner_text()
    page.goto(f"{live_server.url}/admin/may-it/")
    page.fill("#id_key", str(caller.key))
    page.fill("#id_tool", "search_customer")
    page.fill("#id_arguments", json.dumps({"query": HOSTILE}))
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("Rule by rule").wait_for()


@pytest.mark.django_db(transaction=True)
def test_http_tool_when_described_in_admin(editor: Any, live_server: Any, world: World) -> None:
    page = editor
    page.goto(f"{live_server.url}/admin/tools/tool/add/")
    page.fill("#id_name", "orders.find")
    page.fill("#id_description", "Finds one order by its number.")
    page.fill("#id_url", "http://169.254.169.254/{order_id}")
    page.fill("#id_input_schema", '{"type": "array"}')
    page.click("button[name=_save]")
    page.get_by_text("The root must be").wait_for()
    page.fill("#id_input_schema", '{"type": "object", "properties": {"order_id": {}}, "required": ["order_id"]}')
    page.click("button[name=_save]")
    page.locator(".errorlist", has_text="169.254.169.254").wait_for()
    page.fill("#id_url", "https://orders.example.com/v1/{order_id}")
    page.fill("#id_secret_header", "Authorization")
    page.fill("#id_secret", "Bearer very-hidden")
    page.click("button[name=_continue]")
    page.get_by_text("A secret is stored; it travels").wait_for()
    assert "very-hidden" not in page.content()
    assert page.input_value("#id_secret") == ""
    tool = Tool.objects.get(name="orders.find")
    assert (tool.executor, tool.current_version and tool.current_version.number) == ("http", 1)
    assert HttpEndpoint.objects.get().sealed_secret is not None
    types = AuditEvent.objects.filter(actor="edda", subject="orders.find").values_list("type", flat=True)
    assert sorted(types) == ["tool.changed", "tool.registered", "tool.version"]


def an_http_tool(*, description: str = "Finds.") -> Tool:
    declaration = Declaration("orders", "", description, {"type": "object"}, None, {}, {})
    endpoint = HttpEndpoint(url="https://orders.example.com/", secret_header="Authorization")
    return save_http_tool(Tool(name="orders"), declaration, endpoint, SYSTEM, secret="Bearer very-hidden")


# Who may do what, and by which method.


def client_of(world: World, name: str, *groups: str) -> Client:
    client = Client()
    client.force_login(world.person(name, *groups))
    return client


def pages(policy: Policy) -> dict[str, str]:
    base, rule = f"/admin/tools/policy/{policy.pk}", policy.rules.first()
    assert rule is not None
    return {
        "list": "/admin/tools/policy/",
        "policy": f"{base}/change/",
        "publish": f"{base}/publish/",
        "revisions": f"{base}/revisions/",
        "revision": f"{base}/revisions/1/",
        "roll back": f"{base}/revisions/1/roll-back/",
        "rule": f"/admin/tools/rule/{rule.pk}/change/",
        "add rule": f"/admin/tools/rule/add/?policy={policy.pk}",
        "delete rule": f"/admin/tools/rule/{rule.pk}/delete/",
        "delete policy": f"{base}/delete/",
    }


@pytest.mark.django_db
def test_auditor_sees_and_changes_nothing(world: World) -> None:
    policy = world.allowing()
    client, before = client_of(world, "dora", AUDITORS), sha256_of(draft_of(policy))
    at = pages(policy)
    for name in ("list", "policy", "revisions", "revision", "rule"):
        assert client.get(at[name]).status_code == 200, name
    page = client.get(at["policy"]).content.decode()
    assert "Publish…" not in page
    assert "Add rule" not in page
    for name in ("publish", "roll back", "add rule", "delete rule", "delete policy"):
        assert client.get(at[name]).status_code == 403, name
    for name in ("policy", "publish", "roll back", "rule", "add rule", "delete rule", "delete policy"):
        assert client.post(at[name], {"post": "yes", "name": "x"}).status_code == 403, name
    policy.refresh_from_db()
    assert (policy.revisions.count(), sha256_of(draft_of(policy))) == (1, before)
    tool = an_http_tool()
    assert client.get(f"/admin/tools/tool/{tool.pk}/change/").status_code == 200
    assert client.post(f"/admin/tools/tool/{tool.pk}/change/", {}).status_code == 403
    assert client.get("/admin/tools/tool/add/").status_code == 403


@pytest.mark.django_db
def test_operator_without_the_permission_can_not_publish(world: World) -> None:
    policy = world.allowing()
    at, client = pages(policy), client_of(world, "oscar", OPERATORS)
    sent = {"sha256": sha256_of(draft_of(policy)), "note": ""}
    assert client.post(at["publish"], sent).status_code == 403
    assert client.post(at["roll back"], {}).status_code == 403
    assert policy.revisions.count() == 1


@pytest.mark.django_db
def test_get_of_an_act_changes_nothing(world: World) -> None:
    policy = world.allowing()
    client, events = client_of(world, "edda", POLICY_EDITORS), AuditEvent.objects.count()
    for name in ("publish", "roll back", "delete rule"):
        assert client.get(pages(policy)[name]).status_code == 200
    assert client.put(pages(policy)["publish"]).status_code == 405
    assert (policy.revisions.count(), policy.rules.count(), AuditEvent.objects.count()) == (1, 1, events)


@pytest.mark.django_db
def test_publish_when_without_a_csrf_token_or_a_digest(world: World) -> None:
    policy = world.allowing()
    address = pages(policy)["publish"]
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.person("edda", POLICY_EDITORS))
    assert strict.post(address, {"sha256": sha256_of(draft_of(policy))}).status_code == 403
    client = client_of(world, "erin", POLICY_EDITORS)
    assert client.post(address, {}).context["refused"]
    assert client.post(address, {"sha256": "0" * 64}).context["refused"]
    assert policy.revisions.count() == 1
    assert client.post(address, {"sha256": sha256_of(draft_of(policy))}).status_code == 302
    assert policy.revisions.count() == 2


@pytest.mark.django_db
def test_rule_when_deleted_by_post_is_on_record(world: World) -> None:
    policy = world.allowing()
    client = client_of(world, "edda", POLICY_EDITORS)
    response = client.post(pages(policy)["delete rule"], {"post": "yes"})
    assert response.headers["Location"] == f"/admin/tools/policy/{policy.pk}/change/"
    assert not policy.rules.exists()
    assert AuditEvent.objects.filter(type="policy.drafted", actor="edda").count() == 1


@pytest.mark.django_db
def test_rules_are_reached_from_their_policy_only(world: World) -> None:
    policy = world.allowing()
    client = client_of(world, "edda", POLICY_EDITORS)
    assert client.get("/admin/tools/rule/").status_code == 302
    assert client.get("/admin/tools/rule/add/").status_code == 404
    assert client.get("/admin/tools/rule/add/?policy=999999").status_code == 404
    assert client.get(f"/admin/tools/policy/{policy.pk}/revisions/99/").status_code == 404


@pytest.mark.django_db
def test_lists_take_the_same_number_of_queries_however_many_rows(
    world: World, django_assert_max_num_queries: Any
) -> None:
    client = client_of(world, "edda", POLICY_EDITORS)
    for number in range(12):
        world.caller(world.allowing(name=f"p{number}"), name=f"agent-{number}")
    for address in ("/admin/tools/policy/", "/admin/tools/tool/"):
        client.get(address)
        with django_assert_max_num_queries(20):
            assert client.get(address).status_code == 200


@pytest.mark.django_db
def test_cel_examples_of_the_editor_all_compile() -> None:
    page = render_to_string("admin/tools/rule/cel_help.html", {"cel_help": ""})
    found = [html.unescape(code) for code in re.findall(r"<code>(.*?)</code>", page)]
    assert len(found) == 9
    for expression in found:
        compile_expression(expression)
