"""Expressions that security teams type: CEL, behind an interface of our own.

Only this file knows the package. What is left out of the language, and why:
- `map`, `filter` and `+` build new values, and a chain of them fills the memory;
- `matches` takes a pattern from whoever wrote the arguments;
- `double` and `/` answer NaN, which makes every comparison false and so switches off a rule that denies;
  `number()` reads a number or a text that spells one, and is an error for anything else.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from cel_expr_python import cel  # type: ignore[import-untyped] # ships stubs, but no py.typed marker

from tools.policy.facts import Facts

MOST_SOURCE_CHARACTERS = 2_000
# The package's own budget of loop passes in one evaluation [measured].
_MOST_PASSES = 10_000
# One unit is about 25 ns on the machine this was measured on: an element compared, or half a character of source run.
MOST_WORK = 4_000_000
_CALL_WORK = 20
_MOST_NUMBER_CHARACTERS = 64

CEL_HELP = (
    'An expression answers true or false: args.amount > 500 && agent.name != "billing". '
    "It sees args, tool, agent, session and time (UTC). "
    "An argument compares with whole numbers and decimals alike (args.amount > 500 and > 500.0 are the same), but two "
    "numbers written out must be of one kind: 1.0 == 1 is refused, write 1.0 == 1.0. "
    "Money that travels as text needs number(): number(args.amount) > 500.0; its result is a decimal, so write 500.0. "
    "A yes/no argument needs a comparison: args.urgent == true. "
    "A field may be missing: has(args.note) asks; using it all the same makes the rule an error, and an error needs a "
    "person's approval. Whole numbers beyond 64 bits are errors. "
    "Lists: args.items.exists(i, i.qty > 10), args.items.all(i, i.qty < 10). time.now is a timestamp: "
    'time.now > timestamp("2026-12-01T00:00:00Z"). '
    "A loop over some hundred elements or more can be too much work, which is an error too. "
    "Not available: map, filter, exists_one, matches, double, + and / (multiply instead of dividing)."
)

_ENVIRONMENT = """
name: policy
stdlib:
  exclude_macros: [map, filter, exists_one]
  exclude_functions:
    - name: matches
    - name: _+_
    - name: _/_
    - name: double
"""
_BOOL: Final = cel.Type.BOOL

_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_NOT_AVAILABLE = {
    "map": "“map” is not available; use all or exists.",
    "filter": "“filter” is not available; use all or exists.",
    "exists_one": "“exists_one” is not available; use exists.",
    "matches": "“matches” is not available; use startsWith, endsWith or contains.",
    "double": "“double” is not available; use number(), which also reads numbers that travel as text.",
    "_+_": "“+” is not available; move it to the other side of the comparison as “-”.",
    "_/_": "“/” is not available; multiply the other side instead.",
}
_MIXED = re.compile(r"no matching overload for '(_[=!<>]+_)' applied to '\((?:double, int|int, double)\)'")
_MISSING_KEY = re.compile(r'Key not found in map : "(.*)"')
_NO_OVERLOAD = re.compile(r"No matching overloads found : (\w+)\(([\w, ]*)\)")
_LOOP = re.compile(r"\b(?:all|exists)\b")
# Whatever may read a whole value: a comparison, a membership, a function.
_SCAN = re.compile(r"[=!]=|[<>]=?|\bin\b|\w\s*\(")


class ExpressionProblem(Exception):
    """Why an expression can't be compiled, and where; line and column count from 1, 0 where there is no one place."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class EvaluationError:
    """Why an expression has no answer. Truthy like any value: compare with `is True`. Holds no argument's value."""

    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class CompiledExpression:
    """A checked expression. Nothing in it changes, so threads may share it."""

    source: str
    _expression: cel.Expression = field(repr=False, compare=False)
    _loops: int
    _scans: int

    def evaluate(self, facts: Facts) -> bool | EvaluationError:
        """True or False only where the expression answers exactly that. Never raises."""
        if facts.weight.problem:
            return EvaluationError(facts.weight.problem)
        if self.work(facts) > MOST_WORK:
            return EvaluationError("The expression would take too long over arguments this large.")
        try:
            answer = self._expression.eval(data=facts.expression_variables)
            is_bool, value = answer.type() == _BOOL, answer.value()
        except Exception as error:  # the package raises RuntimeError, and what it may raise besides is no answer either
            return EvaluationError(_run_time_words(str(error), self.source))
        if is_bool and (value is True or value is False):
            return bool(value)
        return EvaluationError(_run_time_words(str(value), self.source))

    def work(self, facts: Facts) -> int:
        """The most units that an evaluation can take, from above. A bound, not a guess: loops times what each reads."""
        length = len(self.source)
        size = facts.weight.nodes + facts.weight.size_bytes // 32 + length // 2
        longest = max(facts.weight.longest, self.source.count(",") + 1)
        passes = 1
        for _ in range(self._loops):
            passes = min(_MOST_PASSES, passes * longest)
        # One text sought in another compares, at worst, each place of the one with the whole of the other.
        searches = self.source.count("contains") * (facts.weight.size_bytes**2 // 4096)
        return passes * (2 * length + self._scans * (size + _CALL_WORK) + searches)


def compile_expression(source: str) -> CompiledExpression:
    """An expression that answers true or false. Raises ExpressionProblem."""
    if len(source) > MOST_SOURCE_CHARACTERS:
        raise ExpressionProblem(f"The expression is longer than {MOST_SOURCE_CHARACTERS} characters.")
    try:
        expression = _environment().compile(source)
        answers = expression.return_type()
    except Exception as error:  # RuntimeError for what CEL refuses, TypeError for a lone surrogate
        raise _compile_problem(error, source) from None
    if answers != _BOOL:
        raise ExpressionProblem(_not_bool(answers.name()))
    return CompiledExpression(source, expression, min(len(_LOOP.findall(source)), 32), len(_SCAN.findall(source)))


@cache
def _environment() -> cel.Env:
    facts = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    variables = dict.fromkeys(("args", "tool", "agent", "session", "time"), facts)
    # A datetime inside a map of dyn is refused by the package, so the one timestamp is a variable with a dotted name.
    variables["time.now"] = cel.Type.TIMESTAMP
    overloads = [
        cel.Overload(
            id=f"number_{kind.name().lower()}",
            return_type=cel.Type.DOUBLE,
            parameters=[kind],
            is_member=False,
            impl=_number,
        )
        for kind in (cel.Type.INT, cel.Type.DOUBLE, cel.Type.STRING)
    ]
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(_ENVIRONMENT),
        variables=variables,
        functions=[cel.FunctionDecl("number", overloads)],
    )


def _number(value: Any) -> float:
    """What number() answers. Raises ValueError, which the package turns into an error value."""
    if isinstance(value, str) and (len(value) > _MOST_NUMBER_CHARACTERS or "_" in value or value != value.strip()):
        raise ValueError("not a number")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("not a number") from None
    if not math.isfinite(number):
        raise ValueError("not a number")
    return number


def _compile_problem(error: Exception, source: str) -> ExpressionProblem:
    text = str(error)
    if not isinstance(error, RuntimeError):
        return ExpressionProblem("The expression is not valid text.")
    if "recursion" in text:
        return ExpressionProblem("The expression nests too deeply or has too many parts; split it over several rules.")
    found = [(int(line), int(column), message) for line, column, message in _ERROR.findall(text)]
    if not found:
        return ExpressionProblem(text[:200])
    # A word that we left out explains the others, which are its consequences.
    for line, column, message in found:
        undeclared = _UNDECLARED.search(message)
        if undeclared and undeclared[1] in _NOT_AVAILABLE:
            return ExpressionProblem(_NOT_AVAILABLE[undeclared[1]], line, column)
    line, column, message = found[0]
    return ExpressionProblem(_compile_words(message), max(line, 0), max(column, 0))


def _compile_words(message: str) -> str:
    if undeclared := _UNDECLARED.search(message):
        return f"“{undeclared[1][:60]}” is not known here; there are args, tool, agent, session, time and number()."
    if _MIXED.search(message):
        return (
            "A decimal and a whole number, both written out or from number(), do not compare: "
            "write 1.0 instead of 1 (number(args.amount) > 500.0)."
        )
    return message.removesuffix(" [INVALID_ARGUMENT]")[:200]


def _not_bool(answers: str) -> str:
    kind = "an argument as it came" if answers == "DYN" else answers.lower()
    hint = "For a yes/no argument write args.urgent == true."
    return f"The expression must answer true or false, but answers {kind}. {hint}"


def _run_time_words(text: str, source: str) -> str:
    """The package's message in our words. Argument values, which its messages may hold, stay out."""
    if "Iteration budget" in text:
        return "The expression loops too often over these arguments."
    if missing := _MISSING_KEY.search(text):
        # Name the field only where the rule's author did.
        return f"The field “{missing[1]}” is missing." if missing[1] in source else "A field is missing."
    if wrong := _NO_OVERLOAD.search(text):
        hint = " Use number() for a number that travels as text." if "string" in wrong[2] else ""
        return f"Values of these types do not go together: {wrong[2]}.{hint}"
    if "not a number" in text:
        return "number() got something that is no finite number."
    return "The expression has no answer for these arguments."
