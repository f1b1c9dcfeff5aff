"""A policy's own table of calls and what it must say of each. A draft that says otherwise is not published."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.policy.compiler import Program
from tools.policy.effects import Effect
from tools.policy.evaluator import Decision, RevisionRef, evaluate
from tools.policy.facts import Facts

EXPECTED = ("allow", "deny", "require_approval", "require_two_phase", "dry_run")
_DRAFT = RevisionRef("draft", 0, 0)


@dataclass(frozen=True, slots=True)
class Example:
    name: str
    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    expected: str = "allow"
    agent: str = ""


@dataclass(frozen=True, slots=True)
class ExampleFailure:
    """`said` is what the policy answered, empty where it could not be asked."""

    example: Example
    said: str
    rule: str
    detail: str


def run_examples(
    program: Program,
    examples: Sequence[Example],
    tools: Collection[str],
    facts_for: Callable[[Example], Facts],
) -> list[ExampleFailure]:
    """The examples that the program fails, in order. An unknown tool or expectation is a failure."""
    failures = []
    for example in examples:
        failure = _run(program, example, tools, facts_for)
        if failure is not None:
            failures.append(failure)
    return failures


def _run(
    program: Program, example: Example, tools: Collection[str], facts_for: Callable[[Example], Facts]
) -> ExampleFailure | None:
    if example.expected not in EXPECTED:
        return ExampleFailure(example, "", "", f"“{example.expected}” is nothing that a policy says.")
    if example.tool not in tools:
        return ExampleFailure(example, "", "", f"There is no tool “{example.tool}”.")
    decision = evaluate(program, facts_for(example), _DRAFT)
    said = says(decision)
    if example.expected in said:
        return None
    return ExampleFailure(example, " and ".join(said), decision.rule, decision.detail)


def says(decision: Decision) -> tuple[str, ...]:
    """A decision in the words of the table; more than one where it asks for several things at once."""
    if decision.effect is Effect.DENY:
        return ("deny",)
    asked = (
        ("require_two_phase", decision.requires_two_phase),
        ("require_approval", decision.requires_approval),
        ("dry_run", decision.dry_run),
    )
    return tuple(word for word, is_so in asked if is_so) or ("allow",)
