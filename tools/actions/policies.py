"""Policies: drafts, publishing, rolling back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from telemetry.canonical import canonical_bytes, digest
from telemetry.recorder import Actor, Subject, record_event
from tools.models import Policy, PolicyExample, PolicyRevision, Rule, RuleCondition, Tool
from tools.policy.compiler import PolicyProblem, Program, compile_policy
from tools.policy.conditions import Condition, Operator
from tools.policy.document import SWITCHES, DocumentProblem, PolicyDocument, RuleDocument
from tools.policy.effects import Effect
from tools.policy.examples import Example, ExampleFailure, run_examples
from tools.policy.facts import AgentFacts, Facts, SessionFacts, tool_facts


class PublishRefused(Exception):
    """The draft stays a draft. `problems` are sentences for the operator, each naming its rule or example."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class DraftProblem:
    """One reason why a draft can't be published, and the rule (its id) or the example that it is about."""

    sentence: str
    rule_id: str = ""
    example: str = ""

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """One row of the policy's own table; `failure` is None where the draft says what is expected."""

    example: PolicyExample
    failure: ExampleFailure | None


def _subject(policy: Policy) -> Subject:
    return Subject("policy", str(policy.pk), policy.name)


def draft_of(policy: Policy) -> PolicyDocument:
    """The draft as it would be published."""
    return document_of(policy, policy.rules.prefetch_related("conditions", "groups").order_by("position", "pk"))


def document_of(policy: Policy, rules: Iterable[Rule]) -> PolicyDocument:
    """The policy's switches with these rules, in this order."""
    return PolicyDocument(
        rules=tuple(rule_document(rule) for rule in rules),
        self_confirm=policy.self_confirm,
        no_network=policy.no_network,
        dry_run=policy.dry_run,
        tool_search=policy.tool_search,
    )


def sha256_of(document: PolicyDocument) -> str:
    """What a revision of this document would carry as its digest."""
    return digest(canonical_bytes(document.to_json()))


def rule_document(rule: Rule, conditions: Iterable[Condition] | None = None) -> RuleDocument:
    """The rule as it would be published; with these conditions where they are not stored yet."""
    if conditions is None:
        conditions = (Condition(c.field, Operator(c.operator), c.value) for c in rule.conditions.all())
    return RuleDocument(
        id=str(rule.pk),
        name=rule.name,
        tools=tuple(rule.selectors()),
        conditions=tuple(conditions),
        expression=rule.expression.strip(),
        effect=Effect(rule.effect),
        parameters=_parameters(rule),
    )


def _parameters(rule: Rule) -> dict[str, Any]:
    if rule.effect == Effect.RATE:
        return {"rate": rule.rate}
    if rule.effect == Effect.REDACT:
        return {"paths": [line.strip() for line in rule.redact_paths.splitlines() if line.strip()]}
    if rule.effect == Effect.REQUIRE_APPROVAL:
        groups = sorted(group.name for group in rule.groups.all()) if rule.pk else []
        return {"quorum": rule.quorum, "groups": groups, "expires_in_s": rule.expires_in_s}
    return {}


def draft_problems(policy: Policy) -> list[DraftProblem]:
    """Why the draft can't be published; empty where it can."""
    document = draft_of(policy)
    try:
        program = compile_policy(document)
    except PolicyProblem as problem:
        return [
            DraftProblem(str(one), document.rules[one.rule_index].id if one.rule_index >= 0 else "")
            for one in problem.problems
        ]
    ids = {rule.name: rule.id for rule in document.rules}
    return [
        DraftProblem(failure_sentence(result.failure), ids.get(result.failure.rule, ""), result.example.name)
        for result in example_results(policy, program)
        if result.failure is not None
    ]


def failure_sentence(failure: ExampleFailure) -> str:
    said = f"the draft says {failure.said}" if failure.said else "it can't be asked"
    return f"example “{failure.example.name}”: expected {failure.example.expected}, but {said}. {failure.detail}"


def example_results(policy: Policy, program: Program) -> list[ExampleResult]:
    """What the program says of each of the policy's own examples."""
    tools = {tool.name: tool for tool in Tool.objects.filter(enabled=True).select_related("current_version")}
    rows = list(PolicyExample.objects.filter(policy=policy))
    examples = [Example(row.name, row.tool, row.arguments, row.expected, row.agent) for row in rows]
    failures = run_examples(program, examples, frozenset(tools), lambda example: _facts(example, tools[example.tool]))
    failed = {id(failure.example): failure for failure in failures}
    return [ExampleResult(row, failed.get(id(example))) for row, example in zip(rows, examples, strict=True)]


def _facts(example: Example, tool: Tool) -> Facts:
    return Facts(
        args=example.arguments,
        tool=tool_facts(tool, tool.current_version.number if tool.current_version else 0),
        agent=AgentFacts(name=example.agent, key="", owner="", scopes=()),
        session=SessionFacts(),
        now=timezone.now(),
    )


def record_draft(policy: Policy, actor: Actor, *, created: bool = False, what: str = "") -> None:
    """That the draft changed is on record, with the digest of what it is now. Belongs in the change's transaction."""
    document = draft_of(policy)
    data = {"sha256": sha256_of(document), "rules": len(document.rules)} | ({"what": what} if what else {})
    record_event("policy.created" if created else "policy.drafted", actor, _subject(policy), data=data)


def publish(policy: Policy, actor: Actor, *, note: str = "", sha256: str = "") -> PolicyRevision:
    """The draft is in force as a new immutable revision; every call that starts from now on meets it.

    `sha256`, where given, is the draft that the operator agreed to; another one is refused.
    Raises PublishRefused where it does not compile or fails the policy's own examples; then nothing changed.
    Locks: the policy's row, which a commit that rests on the older revision holds FOR SHARE.
    """
    with transaction.atomic():
        locked = Policy.objects.select_for_update().get(pk=policy.pk)
        document = draft_of(locked)
        if sha256 and sha256 != sha256_of(document):
            problems = ["The draft changed since you looked at it; look again."]
        else:
            problems = [str(problem) for problem in draft_problems(locked)]
        if not problems:
            return _new_revision(locked, document.to_json(), actor, note, "policy.published")
        record_event("policy.publish_refused", actor, _subject(policy), data={"problems": problems[:20]})
    raise PublishRefused(problems)


def roll_back(policy: Policy, revision: PolicyRevision, actor: Actor) -> PolicyRevision:
    """The policy is again what it was at `revision`, as a new revision; the draft is that too."""
    if revision.policy_id != policy.pk:
        raise PublishRefused(["This revision is of another policy."])
    try:
        document = PolicyDocument.from_json(revision.document)
        compile_policy(document)
    except (DocumentProblem, PolicyProblem) as problem:
        raise PublishRefused([f"The revision can't be used any more: {problem}"]) from None
    gone = {name for rule in document.rules for name in rule.parameters.get("groups", [])}
    gone -= set(Group.objects.filter(name__in=gone).values_list("name", flat=True))
    if gone:
        # Without its group an approval could be given by anybody: that would be looser than the revision was.
        raise PublishRefused([f"The revision names groups that are gone: {', '.join(sorted(gone))}."])
    with transaction.atomic():
        locked = Policy.objects.select_for_update().get(pk=policy.pk)
        _restore_draft(locked, document)
        note = f"rolled back to r{revision.number}"
        restored = {"restored": revision.number}
        return _new_revision(locked, draft_of(locked).to_json(), actor, note, "policy.rolled_back", **restored)


def _new_revision(
    policy: Policy, document: dict[str, Any], actor: Actor, note: str, event: str, **more: Any
) -> PolicyRevision:
    number = (policy.revisions.aggregate(last=Max("number"))["last"] or 0) + 1
    revision = PolicyRevision(
        policy=policy,
        number=number,
        document=document,
        digest=digest(canonical_bytes(document)),
        note=note[:300],
        published_by=actor.name,
    )
    revision.save(force_insert=True)
    Policy.objects.filter(pk=policy.pk).update(current_revision=revision)
    policy.current_revision = revision
    record_event(
        event, actor, _subject(policy), data={"revision": number, "sha256": revision.digest, "note": note[:300]} | more
    )
    return revision


def _restore_draft(policy: Policy, document: PolicyDocument) -> None:
    policy.rules.all().delete()
    for switch in SWITCHES:
        setattr(policy, switch, getattr(document, switch))
    policy.save(update_fields=SWITCHES)
    for position, rule in enumerate(document.rules, start=1):
        row = Rule.objects.create(
            pk=int(rule.id),  # what was is the same again, so that revisions can be compared and links hold
            policy=policy,
            position=position * 10,
            name=rule.name,
            tools="\n".join(rule.tools),
            effect=rule.effect.value,
            expression=rule.expression,
            rate=rule.parameters.get("rate", ""),
            redact_paths="\n".join(rule.parameters.get("paths", [])),
            quorum=rule.parameters.get("quorum", 1),
            expires_in_s=rule.parameters.get("expires_in_s", 3600),
        )
        row.groups.set(Group.objects.filter(name__in=rule.parameters.get("groups", [])))
        RuleCondition.objects.bulk_create(
            RuleCondition(rule=row, field=c.field, operator=c.operator.value, value=c.value) for c in rule.conditions
        )
