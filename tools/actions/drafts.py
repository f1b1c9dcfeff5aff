"""A policy's draft: its switches, its rules, its examples. Nothing here is in force until it is published."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction

from telemetry.recorder import Actor
from tools.actions.policies import draft_of, record_draft, rule_document
from tools.models import Policy, PolicyExample, Rule, RuleCondition
from tools.policy.compiler import PolicyProblem, compile_policy
from tools.policy.conditions import Condition
from tools.policy.document import SWITCHES, PolicyDocument
from tools.policy.effects import Effect
from tools.policy.ready_made import ReadyMade, tools_let_through

# Where a problem with an effect's parameters is shown.
_PARAMETER_FIELD = {Effect.RATE: "rate", Effect.REDACT: "redact_paths", Effect.REQUIRE_APPROVAL: "quorum"}


def save_policy(policy: Policy, actor: Actor, *, examples: Iterable[Mapping[str, Any]] | None = None) -> Policy:
    """The draft's switches are as given, and its examples where given. A name, once given, stays: records name it.

    Shape: an example is name, tool, arguments, agent, expected.
    """
    with transaction.atomic():
        policy.full_clean()
        before = Policy.objects.select_for_update().filter(pk=policy.pk).first() if policy.pk else None
        if before is None:
            policy.save(force_insert=True)
        elif before.name != policy.name:
            raise ValidationError({"name": "A policy keeps its name; records name it."})
        else:
            policy.save(update_fields=["description", *SWITCHES])
        if examples is not None:
            policy.examples.all().delete()
            for fields in examples:
                example = PolicyExample(policy=policy, **fields)
                example.full_clean()
                example.save(force_insert=True)
        record_draft(policy, actor, created=before is None, what="the policy's settings and examples")
    return policy


def save_rule(rule: Rule, actor: Actor, *, conditions: Iterable[Condition], groups: Iterable[Group]) -> Rule:
    """The draft holds the rule with exactly these conditions and groups.

    What belongs to another effect is emptied. Raises ValidationError by field.
    """
    typed, deciders = list(conditions), list(groups)
    _empty_what_the_effect_ignores(rule)
    if rule.effect != Effect.REQUIRE_APPROVAL:
        deciders = []
    with transaction.atomic():
        policy = Policy.objects.select_for_update().get(pk=rule.policy_id)
        is_new = rule.pk is None
        rule.full_clean()
        if problems := rule_problems(rule, typed):
            raise ValidationError(problems)
        rule.save()
        rule.groups.set(deciders)
        rule.conditions.all().delete()
        RuleCondition.objects.bulk_create(
            RuleCondition(rule=rule, field=c.field, operator=c.operator.value, value=c.value) for c in typed
        )
        record_draft(policy, actor, what=f"rule “{rule.name}” {'added' if is_new else 'changed'}")
    return rule


def add_ready_made(policy: Policy, chosen: ReadyMade, actor: Actor) -> Rule:
    """The draft holds the ready-made rule, for the tools that its rules let through. Raises ValidationError."""
    document = draft_of(policy)
    tools = tools_let_through(document)
    if not tools:
        raise ValidationError("The draft lets no tool through yet: allow some first.")
    if any(rule.expression == chosen.expression for rule in document.rules):
        raise ValidationError("The draft has this rule already.")
    last = policy.rules.order_by("-position").values_list("position", flat=True).first()
    rule = Rule(
        policy=policy,
        position=(last or 0) + 1,
        name=chosen.name,
        tools="\n".join(tools),
        effect=Effect.REQUIRE_APPROVAL,
        expression=chosen.expression,
    )
    return save_rule(rule, actor, conditions=[], groups=[])


def delete_rule(rule: Rule, actor: Actor) -> None:
    """The draft holds the rule no more; what is in force stays until the draft is published."""
    with transaction.atomic():
        policy = Policy.objects.select_for_update().get(pk=rule.policy_id)
        rule.delete()
        record_draft(policy, actor, what=f"rule “{rule.name}” deleted")


def rule_problems(rule: Rule, conditions: Iterable[Condition]) -> dict[str, list[str]]:
    """What keeps the rule from being published, by the field of the form that it belongs to; empty where nothing does.

    A field of a condition is `conditions.N`, N from 0.
    """
    document = rule_document(rule, conditions=tuple(conditions))
    try:
        compile_policy(PolicyDocument(rules=(document,)))
    except PolicyProblem as problem:
        found: dict[str, list[str]] = {}
        for one in problem.problems:
            if one.field != "id":
                found.setdefault(_form_field(rule, one.field), []).append(one.message)
        return found
    return {}


def _form_field(rule: Rule, field: str) -> str:
    return _PARAMETER_FIELD.get(Effect(rule.effect), "effect") if field == "parameters" else field


def _empty_what_the_effect_ignores(rule: Rule) -> None:
    if rule.effect != Effect.RATE:
        rule.rate = ""
    if rule.effect != Effect.REDACT:
        rule.redact_paths = ""
    if rule.effect != Effect.REQUIRE_APPROVAL:
        rule.quorum, rule.expires_in_s = 1, 3600
