"""From a document to a program: everything checked, parsed and compiled once, and shared between threads after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tools.policy.cel import CompiledExpression, ExpressionProblem, compile_expression
from tools.policy.conditions import CompiledCondition, compile_condition, condition_problem
from tools.policy.document import PolicyDocument, RuleDocument
from tools.policy.effects import Effect
from tools.policy.parameters import Parameters, read_parameters
from tools.policy.selectors import selector_problem

MOST_RULES = 500
MOST_CONDITIONS = 50
MOST_SELECTORS = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `rule_index` counts from 0 and is -1 for the policy as a whole.

    `field`: name, id, tools, conditions.N, expression, parameters, or rules.
    Line and column count from 1; 0 is nowhere.
    """

    rule_index: int
    rule: str
    field: str
    message: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"rule {self.rule_index + 1} “{self.rule}”, {self.field}" if self.rule_index >= 0 else self.field
        where = f" (line {self.line}, column {self.column})" if self.line else ""
        return f"{place}{where}: {self.message}"


class PolicyProblem(Exception):
    """Everything that keeps a document from being compiled, in the order of the rules."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    id: str
    name: str
    tools: tuple[str, ...]
    effect: Effect
    conditions: tuple[CompiledCondition, ...]
    expression: CompiledExpression | None
    parameters: Parameters

    @property
    def is_unconditional(self) -> bool:
        return not self.conditions and self.expression is None


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A compiled policy. Never changes; equal only to itself, so that answers about it can be kept."""

    rules: tuple[CompiledRule, ...]
    self_confirm: bool
    no_network: bool
    dry_run: bool
    tool_search: bool


def compile_policy(document: PolicyDocument) -> Program:
    """The program of a document. Raises PolicyProblem with every problem, not the first."""
    problems = list(_document_problems(document))
    rules: list[CompiledRule] = []
    if len(document.rules) <= MOST_RULES:
        for index, rule in enumerate(document.rules):
            compiled = _RuleCompiler(index, rule)
            problems += compiled.problems
            if compiled.result is not None:
                rules.append(compiled.result)
    if problems:
        raise PolicyProblem(tuple(problems))
    return Program(tuple(rules), document.self_confirm, document.no_network, document.dry_run, document.tool_search)


def _document_problems(document: PolicyDocument) -> Iterator[Problem]:
    if len(document.rules) > MOST_RULES:
        yield Problem(-1, "", "rules", f"A policy has at most {MOST_RULES} rules.")
    seen: set[str] = set()
    for index, rule in enumerate(document.rules):
        if rule.id in seen:
            yield Problem(index, rule.name, "id", f"Another rule has the id “{rule.id}”.")
        seen.add(rule.id)


class _RuleCompiler:
    """One rule on its way: `result` is there where `problems` is empty."""

    def __init__(self, index: int, rule: RuleDocument) -> None:
        self.index = index
        self.rule = rule
        self.problems: list[Problem] = []
        self._check_names()
        conditions = self._conditions()
        expression = self._expression()
        parameters = self._parameters()
        self.result: CompiledRule | None = None
        if not self.problems:
            self.result = CompiledRule(rule.id, rule.name, rule.tools, rule.effect, conditions, expression, parameters)

    def _refuse(self, field: str, message: str, line: int = 0, column: int = 0) -> None:
        self.problems.append(Problem(self.index, self.rule.name, field, message, line, column))

    def _check_names(self) -> None:
        if not self.rule.name.strip():
            self._refuse("name", "A rule needs a name; decisions are explained by it.")
        if not self.rule.id:
            self._refuse("id", "A rule needs an id.")
        if not self.rule.tools:
            self._refuse("tools", "Name at least one tool.")
        if len(self.rule.tools) > MOST_SELECTORS:
            self._refuse("tools", f"A rule names at most {MOST_SELECTORS} tools; use * and ?.")
        for selector in self.rule.tools[:MOST_SELECTORS]:
            if problem := selector_problem(selector):
                self._refuse("tools", problem)

    def _conditions(self) -> tuple[CompiledCondition, ...]:
        if len(self.rule.conditions) > MOST_CONDITIONS:
            self._refuse("conditions", f"A rule has at most {MOST_CONDITIONS} conditions.")
        compiled = []
        for number, condition in enumerate(self.rule.conditions[:MOST_CONDITIONS]):
            if problem := condition_problem(condition):
                self._refuse(f"conditions.{number}", problem)
            else:
                compiled.append(compile_condition(condition))
        return tuple(compiled)

    def _expression(self) -> CompiledExpression | None:
        if not self.rule.expression.strip():
            return None
        try:
            return compile_expression(self.rule.expression)
        except ExpressionProblem as problem:
            self._refuse("expression", problem.message, problem.line, problem.column)
            return None

    def _parameters(self) -> Parameters:
        read = read_parameters(self.rule.effect, self.rule.parameters)
        if isinstance(read, Parameters):
            return read
        for message in read:
            self._refuse("parameters", message)
        return Parameters()
