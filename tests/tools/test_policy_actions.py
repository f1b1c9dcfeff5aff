"""Drafts, publishing and rolling back: each act with its event, and nothing half done."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction

from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM, Actor
from tests.world import World
from tools.actions import drafts
from tools.actions.drafts import delete_rule, rule_problems, save_policy, save_rule
from tools.actions.policies import (
    PublishRefused,
    draft_of,
    draft_problems,
    publish,
    roll_back,
    rule_document,
    sha256_of,
)
from tools.actions.tools import save_endpoint, save_http_tool
from tools.models import HttpEndpoint, Policy, PolicyExample, PolicyRevision, Rule, RuleCondition, Tool
from tools.policy import words
from tools.policy.conditions import Condition, Operator
from tools.policy.difference import Change, difference
from tools.registry import Declaration

pytestmark = pytest.mark.django_db

BOB = Actor("operator", "2", "bob")


@pytest.fixture
def policy(world: World) -> Policy:
    return world.allowing("search_customer", "create_ticket")


def a_rule(policy: Policy, **fields: Any) -> Rule:
    return Rule(policy=policy, **({"name": "Not at night", "tools": "*", "effect": "deny", "position": 20} | fields))


def saved(policy: Policy, *conditions: Condition, groups: Any = (), **fields: Any) -> Rule:
    return save_rule(a_rule(policy, **fields), BOB, conditions=conditions, groups=groups)


def events(*types: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(type__in=types, actor="bob").order_by("pk"))


# drafts


def test_rule_when_saved_is_in_the_draft_and_on_record(policy: Policy) -> None:
    before = sha256_of(draft_of(policy))
    saved(policy, Condition("time.hour", Operator.LESS_THAN, "6"))
    assert [rule.name for rule in draft_of(policy).rules] == ["rule 1", "Not at night"]
    (event,) = events("policy.drafted")
    assert sha256_of(draft_of(policy)) in event.data
    assert before not in event.data
    assert "Not at night" in event.data


def test_rule_when_saved_changes_nothing_in_force(world: World, policy: Policy) -> None:
    caller = world.caller(policy)
    saved(policy)
    assert caller.call("search_customer", {"query": "ACME"}).status_code == 200


def test_rule_when_saved_again_has_exactly_these_conditions_and_groups(policy: Policy) -> None:
    group = Group.objects.create(name="finance")
    rule = saved(policy, Condition("args.a", Operator.EQUALS, "1"), groups=[group], effect="require_approval", quorum=2)
    assert [g.name for g in rule.groups.all()] == ["finance"]
    save_rule(rule, BOB, conditions=[Condition("args.b", Operator.IS_PRESENT)], groups=[])
    assert [c.field for c in rule.conditions.all()] == ["args.b"]
    assert not rule.groups.exists()


def test_rule_when_its_effect_takes_no_parameters_keeps_none(policy: Policy) -> None:
    group = Group.objects.create(name="finance")
    rule = saved(policy, effect="deny", rate="nonsense", redact_paths="x", quorum=7, groups=[group])
    rule.refresh_from_db()
    assert (rule.rate, rule.redact_paths, rule.quorum, rule.groups.count()) == ("", "", 1, 0)


@pytest.mark.parametrize(
    ("fields", "conditions", "where"),
    [
        ({"tools": "Сrm"}, [], "tools"),
        ({"expression": "args.amount >"}, [], "expression"),
        ({"effect": "rate", "rate": ""}, [], "rate"),
        ({"effect": "redact", "redact_paths": "a..b"}, [], "redact_paths"),
        ({"effect": "require_approval", "quorum": 500}, [], "quorum"),
        ({"name": ""}, [], "name"),
        ({}, [Condition("nowhere.x", Operator.EQUALS, "1")], "conditions.0"),
    ],
)
def test_rule_when_wrong_is_refused_at_its_field(
    policy: Policy, fields: dict[str, Any], conditions: list[Condition], where: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        saved(policy, *conditions, **fields)
    assert where in refusal.value.message_dict
    assert policy.rules.count() == 1
    assert events("policy.drafted") == []


def test_rule_when_deleted_leaves_the_draft(policy: Policy) -> None:
    delete_rule(policy.rules.get(), BOB)
    assert draft_of(policy).rules == ()
    assert "deleted" in events("policy.drafted")[0].data


def test_change_when_its_event_can_not_be_written_did_not_happen(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no record")

    monkeypatch.setattr(drafts, "record_draft", broken)
    for change in (
        lambda: saved(policy),
        lambda: delete_rule(policy.rules.get(), BOB),
        lambda: save_policy(Policy(name="another"), BOB),
    ):
        with pytest.raises(RuntimeError), transaction.atomic():
            change()
    assert policy.rules.count() == 1
    assert not Policy.objects.filter(name="another").exists()


def test_policy_when_made_is_on_record_and_keeps_its_name(world: World) -> None:
    policy = save_policy(Policy(name="fresh"), BOB)
    assert len(events("policy.created")) == 1
    policy.name = "other"
    with pytest.raises(ValidationError) as refusal:
        save_policy(policy, BOB)
    assert list(refusal.value.message_dict) == ["name"]


def test_examples_when_saved_replace_the_table(policy: Policy) -> None:
    row = {"name": "finds", "tool": "search_customer", "arguments": {"query": "x"}, "agent": "", "expected": "allow"}
    save_policy(policy, BOB, examples=[row, row | {"name": "again"}])
    save_policy(policy, BOB, examples=[row])
    assert [example.name for example in policy.examples.all()] == ["finds"]
    save_policy(policy, BOB)
    assert policy.examples.count() == 1


def test_rule_problems_for_an_unsaved_rule_names_every_field(policy: Policy) -> None:
    rule = a_rule(policy, tools="", expression="1 + 1")
    assert set(rule_problems(rule, [Condition("x", Operator.EQUALS, "")])) == {"tools", "expression", "conditions.0"}


# publishing


def test_draft_problems_when_a_rule_is_wrong_name_it(policy: Policy) -> None:
    wrong = Rule.objects.create(policy=policy, name="wrong", tools="", position=5)
    (problem,) = draft_problems(policy)
    assert problem.rule_id == str(wrong.pk)


def test_draft_problems_when_an_example_fails_name_it_and_the_rule(policy: Policy) -> None:
    PolicyExample.objects.create(policy=policy, name="never", tool="search_customer", expected="deny")
    (problem,) = draft_problems(policy)
    assert (problem.example, problem.rule_id) == ("never", str(policy.rules.get().pk))


def test_publish_when_an_example_fails_changes_nothing_and_is_on_record(policy: Policy) -> None:
    PolicyExample.objects.create(policy=policy, name="never", tool="search_customer", expected="deny")
    with pytest.raises(PublishRefused):
        publish(policy, BOB)
    assert policy.revisions.count() == 1
    assert len(events("policy.publish_refused")) == 1


def test_publish_when_the_draft_is_not_the_one_that_was_seen(policy: Policy) -> None:
    seen = sha256_of(draft_of(policy))
    saved(policy)
    with pytest.raises(PublishRefused) as refusal:
        publish(policy, BOB, sha256=seen)
    assert "since you looked" in refusal.value.problems[0]
    assert publish(policy, BOB, sha256=sha256_of(draft_of(policy))).number == 2


def test_roll_back_makes_a_new_revision_and_the_draft_alike(policy: Policy) -> None:
    first = policy.revisions.get()
    saved(policy, Condition("args.a", Operator.EQUALS, "1"))
    publish(policy, BOB)
    third = roll_back(policy, first, BOB)
    policy.refresh_from_db()
    assert (third.number, policy.current_revision) == (3, third)
    assert third.digest == sha256_of(draft_of(policy))
    assert [rule.name for rule in draft_of(policy).rules] == ["rule 1"]


def test_roll_back_when_a_group_is_gone_is_refused(policy: Policy) -> None:
    group = Group.objects.create(name="finance")
    saved(policy, groups=[group], effect="require_approval")
    second = publish(policy, BOB)
    Rule.objects.filter(policy=policy, effect="require_approval").delete()
    publish(policy, BOB)
    group.delete()
    with pytest.raises(PublishRefused):
        roll_back(policy, second, BOB)


def test_roll_back_when_the_revision_can_not_be_read_is_refused(policy: Policy) -> None:
    broken = PolicyRevision(policy=policy, number=9, document={"rules": "?"}, digest="x", published_by="bob")
    broken.save(force_insert=True)
    with pytest.raises(PublishRefused):
        roll_back(policy, broken, BOB)


# differences, in words


def test_difference_finds_added_removed_changed_moved(world: World) -> None:
    names = ("a", "b", "c", "d")
    policy = world.policy("many", *({"name": name, "tools": "crm.*", "effect": "allow"} for name in names))
    before = draft_of(policy)
    assert difference(before, before).is_empty
    rules = {rule.name: rule for rule in policy.rules.all()}
    rules["a"].delete()
    Rule.objects.filter(pk=rules["b"].pk).update(effect="deny")
    Rule.objects.filter(pk=rules["d"].pk).update(position=0)
    Rule.objects.create(policy=policy, name="e", tools="*", position=99)
    found = {change.rule.name: change.change for change in difference(before, draft_of(policy)).rules}
    assert found == {
        "d": Change.MOVED,
        "b": Change.CHANGED,
        "c": Change.SAME,
        "e": Change.ADDED,
        "a": Change.REMOVED,
    }


def test_difference_when_rules_were_made_anew_goes_by_name(policy: Policy) -> None:
    first = policy.revisions.get()
    before = draft_of(policy)
    roll_back(policy, first, BOB)
    assert difference(before, draft_of(policy)).is_empty


def test_difference_when_a_switch_is_turned(policy: Policy) -> None:
    before = draft_of(policy)
    policy.dry_run = True
    (switch,) = difference(before, draft_of(policy)).switches
    assert (switch.part, switch.before, switch.after) == ("Dry run", "off", "on")


def test_difference_from_nothing_adds_everything(policy: Policy) -> None:
    assert [change.change for change in difference(None, draft_of(policy)).rules] == [Change.ADDED]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"effect": "allow"}, "Allow"),
        ({"effect": "rate", "rate": "10/m"}, "Rate at most 10/m"),
        ({"effect": "redact", "redact_paths": "a.b\nc"}, "Redact hides a.b, c"),
        ({"effect": "require_approval", "quorum": 1}, "Require approval by 1 person within 1 hour"),
        (
            {"effect": "require_approval", "quorum": 2, "expires_in_s": 5400},
            "Require approval by 2 people within 90 minutes",
        ),
    ],
)
def test_effect_in_words(policy: Policy, fields: dict[str, Any], said: str) -> None:
    assert words.effect(rule_document(a_rule(policy, **fields), conditions=())) == said


# HTTP tools


def declared(**fields: Any) -> Declaration:
    schema = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    given: dict[str, Any] = {
        "name": "orders",
        "title": "",
        "description": "Finds.",
        "input_schema": schema,
        "output_schema": None,
        "annotations": {},
        "settings": {},
    }
    return Declaration(**(given | fields))


def made(url: str = "https://orders.example.com/{id}", secret: str | None = "Bearer s3cret") -> HttpEndpoint:
    endpoint = HttpEndpoint(url=url, secret_header="Authorization")
    save_http_tool(Tool(name="orders"), declared(), endpoint, BOB, secret=secret)
    return endpoint


def test_http_tool_when_one_part_is_refused_leaves_nothing(world: World) -> None:
    with pytest.raises(ValidationError):
        made("http://169.254.169.254/{id}")
    assert not Tool.objects.filter(name="orders").exists()
    assert events("tool.registered", "tool.version", "tool.changed") == []


def test_http_tool_when_saved_has_version_endpoint_and_a_hidden_secret(world: World) -> None:
    endpoint = made()
    assert endpoint.tool.current_version is not None
    assert b"s3cret" not in bytes(endpoint.sealed_secret or b"")
    assert all("s3cret" not in event.data for event in AuditEvent.objects.all())


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("https://{id}.example.com/", "url"),
        ("https://orders.example.com/{other}", "url"),
        ("file:///etc/passwd", "url"),
        ("https://user:pw@example.com/", "url"),
        ("https://evil.example.net/{id}", "secret"),
    ],
)
def test_endpoint_when_its_url_is_refused(world: World, url: str, field: str) -> None:
    endpoint = made()
    endpoint.url = url
    with pytest.raises(ValidationError) as refusal:
        save_endpoint(endpoint, BOB)
    assert list(refusal.value.message_dict) == [field]
    assert HttpEndpoint.objects.get().url == "https://orders.example.com/{id}"


def test_endpoint_when_its_header_is_cleared_forgets_the_secret(world: World) -> None:
    endpoint = made()
    endpoint.secret_header, endpoint.url = "", "https://elsewhere.example.com/{id}"
    save_endpoint(endpoint, SYSTEM)
    assert HttpEndpoint.objects.get().sealed_secret is None


@pytest.mark.parametrize("secret", ["a\r\nX-Other: b", "ключ"])
def test_endpoint_when_the_secret_is_no_header_value(world: World, secret: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        made(secret=secret)
    assert list(refusal.value.message_dict) == ["secret"]


def test_conditions_of_a_rule_survive_a_save_that_says_the_same(policy: Policy) -> None:
    rule = saved(policy, Condition("args.a", Operator.IN, "1, 2"))
    digest = sha256_of(draft_of(policy))
    save_rule(rule, BOB, conditions=[Condition("args.a", Operator.IN, "1, 2")], groups=[])
    assert sha256_of(draft_of(policy)) == digest
    assert RuleCondition.objects.filter(rule=rule).count() == 1
