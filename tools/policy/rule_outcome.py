"""What one rule says of one call: not about it, no, yes, or an error. Both the evaluator and the pages ask here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tools.policy.compiler import CompiledRule
from tools.policy.facts import Facts
from tools.policy.selectors import matches


class Said(StrEnum):
    NOT_SELECTED = "not_selected"
    NOT_MATCHED = "not_matched"
    MATCHED = "matched"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    rule: CompiledRule
    said: Said
    error: str = ""


def ask(rule: CompiledRule, facts: Facts) -> RuleOutcome:
    """All parts of a rule must hold. One that is false settles it, whatever the others; else one error makes an error.

    Every part is asked, so that the answer does not depend on their order.
    """
    if not matches(rule.tools, facts.tool.name):
        return RuleOutcome(rule, Said.NOT_SELECTED)
    answers = [answer for _, answer in _answers(rule, facts)]
    if any(answer is False for answer in answers):
        return RuleOutcome(rule, Said.NOT_MATCHED)
    for answer in answers:
        if answer is not True:
            return RuleOutcome(rule, Said.ERROR, str(answer))
    return RuleOutcome(rule, Said.MATCHED)


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """One rule in words. `because` has a sentence a part; none of them holds an argument's value."""

    rule: str
    rule_id: str
    effect: str
    said: Said
    because: tuple[str, ...]


def explain(rule: CompiledRule, facts: Facts) -> RuleExplanation:
    """The same answer as `ask`, with its reasons."""
    said = ask(rule, facts).said
    if said is Said.NOT_SELECTED:
        because: tuple[str, ...] = (f"{', '.join(rule.tools)} does not name {facts.tool.name}",)
    elif rule.is_unconditional:
        because = ("it has no condition",)
    else:
        because = tuple(f"{part}: {_word(answer)}" for part, answer in _answers(rule, facts))
    return RuleExplanation(rule.name, rule.id, rule.effect.value, said, because)


def _answers(rule: CompiledRule, facts: Facts) -> Iterator[tuple[str, object]]:
    mapping = facts.as_mapping()
    for condition in rule.conditions:
        yield str(condition.condition), condition.test(mapping)
    if rule.expression is not None:
        yield rule.expression.source, rule.expression.evaluate(facts)


def _word(answer: object) -> str:
    if answer is True:
        return "yes"
    return "no" if answer is False else f"can't be decided ({answer})"
