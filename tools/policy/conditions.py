"""Conditions as a form takes them: a field, an operator, a value. No expression language.

The answer is True, False or a ConditionError; a missing field and a comparison that has no meaning are errors,
because False would quietly switch off a rule that denies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

MOST_VALUE_CHARACTERS = 2_000
MOST_FIELD_CHARACTERS = 200
MOST_CHOICES = 200
MOST_ELEMENTS = 20_000
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_INDEX = re.compile(r"[0-9]{1,6}")


class Operator(StrEnum):
    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    IN = "in"
    NOT_IN = "not_in"
    LESS_THAN = "less_than"
    AT_MOST = "at_most"
    GREATER_THAN = "greater_than"
    AT_LEAST = "at_least"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    IS_PRESENT = "is_present"
    IS_ABSENT = "is_absent"

    @property
    def label(self) -> str:
        return OPERATOR_LABELS[self]

    @property
    def takes_value(self) -> bool:
        return self not in _ABOUT_PRESENCE


OPERATOR_LABELS: Final[Mapping[Operator, str]] = {
    Operator.EQUALS: "is",
    Operator.NOT_EQUALS: "is not",
    Operator.IN: "is one of",
    Operator.NOT_IN: "is none of",
    Operator.LESS_THAN: "is less than",
    Operator.AT_MOST: "is at most",
    Operator.GREATER_THAN: "is greater than",
    Operator.AT_LEAST: "is at least",
    Operator.CONTAINS: "contains",
    Operator.STARTS_WITH: "starts with",
    Operator.ENDS_WITH: "ends with",
    Operator.IS_PRESENT: "is present",
    Operator.IS_ABSENT: "is absent",
}
_ABOUT_PRESENCE = frozenset({Operator.IS_PRESENT, Operator.IS_ABSENT})
_ABOUT_ORDER: Final[Mapping[Operator, Callable[[Decimal, Decimal], bool]]] = {
    Operator.LESS_THAN: lambda a, b: a < b,
    Operator.AT_MOST: lambda a, b: a <= b,
    Operator.GREATER_THAN: lambda a, b: a > b,
    Operator.AT_LEAST: lambda a, b: a >= b,
}
_ABOUT_CHOICE = frozenset({Operator.IN, Operator.NOT_IN})
_ABOUT_TEXT = frozenset({Operator.STARTS_WITH, Operator.ENDS_WITH})
_NEGATED = frozenset({Operator.NOT_EQUALS, Operator.NOT_IN})

# What the fields outside `args` hold; `args` is whatever the tool's schema says.
_KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "tool": {
        "name": "text",
        "risk": "text",
        "read_only": "yes/no",
        "idempotent": "yes/no",
        "irreversible": "yes/no",
        "network": "text",
        "brings_untrusted_text": "text",
        "brings_private_data": "text",
        "sends_outside": "text",
        "version": "number",
    },
    "agent": {"name": "text", "key": "text", "owner": "text", "scopes": "list"},
    "session": {"id": "text", "tools_called": "list", "labels": "list"},
    "time": {"hour": "number", "minute": "number", "weekday": "number", "date": "text"},
}
ROOTS = ("args", *_KINDS)


@dataclass(frozen=True, slots=True)
class Condition:
    """As typed. `field` is a dotted path, list places by number: args.items.0.sku."""

    field: str
    operator: Operator
    value: str = ""

    def __str__(self) -> str:
        return f"{self.field} {self.operator.label} {self.value}".rstrip()


@dataclass(frozen=True, slots=True)
class ConditionError:
    """Why a condition has no answer. Truthy like any value: compare with `is True`."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class _Missing:
    """Where a path leads to nothing."""


_MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class CompiledCondition:
    """A condition with its path split and its value read once."""

    condition: Condition
    path: tuple[str, ...]
    choices: tuple[_Wanted, ...]

    def test(self, facts: Mapping[str, Any]) -> bool | ConditionError:
        found = _follow(facts, self.path)
        operator = self.condition.operator
        if operator in _ABOUT_PRESENCE:
            return (found is not _MISSING) is (operator is Operator.IS_PRESENT)
        if found is _MISSING:
            return self._error("the field is missing")
        answer = self._compare(found)
        if isinstance(answer, str):
            return self._error(answer)
        return answer is not (operator in _NEGATED)

    def _compare(self, found: Any) -> bool | str:
        operator, wanted = self.condition.operator, self.choices[0]
        if operator in _ABOUT_ORDER:
            number = _number_of(found)
            if number is None or wanted.number is None:
                return f"{_kind(found)} can't be compared with a number"
            return _ABOUT_ORDER[operator](number, wanted.number)
        if operator in _ABOUT_TEXT:
            if not isinstance(found, str):
                return f"{_kind(found)} has no beginning or end to compare"
            return found.startswith(wanted.text) if operator is Operator.STARTS_WITH else found.endswith(wanted.text)
        if operator is Operator.CONTAINS:
            return _contains(found, wanted)
        return _any_of(_equals(found, choice) for choice in self.choices)

    def _error(self, message: str) -> ConditionError:
        return ConditionError(self.condition.field, message)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One typed value and the number it can be read as."""

    text: str
    number: Decimal | None


def compile_condition(condition: Condition) -> CompiledCondition:
    """Ready to test. Raises ValueError where `condition_problem` has something to say."""
    if problem := condition_problem(condition):
        raise ValueError(problem)
    typed = _split(condition.value) if condition.operator in _ABOUT_CHOICE else [condition.value]
    choices = tuple(_Wanted(text, _number_of(text)) for text in typed)
    return CompiledCondition(condition, tuple(condition.field.split(".")), choices)


def condition_problem(condition: Condition) -> str | None:
    """What is wrong with a condition as typed, or None."""
    return _field_problem(condition.field) or _value_problem(condition) or _kind_problem(condition)


def _field_problem(field: str) -> str | None:
    parts = field.split(".")
    root, rest = parts[0], parts[1:]
    if len(field) > MOST_FIELD_CHARACTERS:
        return f"The field is longer than {MOST_FIELD_CHARACTERS} characters."
    if root not in ROOTS:
        return f"“{field}” starts with none of {', '.join(ROOTS)}: write e.g. args.amount."
    if not rest or not all(rest):
        return f"“{field}” is not a path: write e.g. args.amount or args.items.0.sku."
    if root == "args":
        return None
    if rest[0] not in _KINDS[root]:
        return f"“{root}” has no “{rest[0]}”, only {', '.join(_KINDS[root])}."
    if len(rest) > 1 and not (_KINDS[root][rest[0]] == "list" and len(rest) == 2 and _INDEX.fullmatch(rest[1])):
        return f"Nothing is inside “{root}.{rest[0]}”."
    return None


def _value_problem(condition: Condition) -> str | None:
    operator, value = condition.operator, condition.value
    problem = None
    if len(value) > MOST_VALUE_CHARACTERS:
        problem = f"The value is longer than {MOST_VALUE_CHARACTERS} characters."
    elif not operator.takes_value:
        problem = f"“{operator.label}” takes no value." if value else None
    elif operator in _ABOUT_ORDER:
        problem = None if _number_of(value) is not None else f"“{value}” is not a number: write e.g. 500 or 99.50."
    elif operator in _ABOUT_CHOICE:
        choices = _split(value)
        if not choices or not all(choices):
            problem = "Write the values with commas between them: EUR, USD."
        elif len(choices) > MOST_CHOICES:
            problem = f"More than {MOST_CHOICES} values."
    elif not value and operator not in (Operator.EQUALS, Operator.NOT_EQUALS):
        problem = f"“{operator.label}” needs a value."
    return problem


def _kind_problem(condition: Condition) -> str | None:
    """A comparison that could never have an answer, where the field's kind is known beforehand."""
    root, name, *rest = condition.field.split(".")
    operator = condition.operator
    if root == "args" or operator in _ABOUT_PRESENCE:
        return None
    kind = "text" if rest else _KINDS[root][name]
    values = _split(condition.value) if operator in _ABOUT_CHOICE else [condition.value]
    if operator in _ABOUT_ORDER:
        wrong = kind != "number"
    elif operator in _ABOUT_TEXT:
        wrong = kind != "text"
    elif operator is Operator.CONTAINS:
        wrong = kind not in ("text", "list")
    elif kind == "number":
        wrong = any(_number_of(value) is None for value in values)
    elif kind == "yes/no":
        wrong = any(value not in ("true", "false") for value in values)
    else:
        wrong = kind == "list"
    return f"“{condition.field}” is a {kind}; “{operator.label} {condition.value}” has no answer." if wrong else None


def _split(value: str) -> list[str]:
    return [choice.strip() for choice in value.split(",")]


def _follow(facts: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = facts
    for part in path:
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and _INDEX.fullmatch(part) and int(part) < len(found):
            found = found[int(part)]
        else:
            return _MISSING
    return found


def _number_of(value: Any) -> Decimal | None:
    """The finite number that a value is or spells, else None. Money travels as strings; a bool is not a number."""
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value) if value.bit_length() <= 256 else None
    if isinstance(value, float):
        # By its shortest form, so that 0.1 equals 0.1.
        number = Decimal(repr(value))
        return number if number.is_finite() else None
    return None


def _equals(found: Any, wanted: _Wanted) -> bool | str:
    """Whether a value is what was typed, or why that can't be said."""
    if isinstance(found, str):
        return found == wanted.text
    if found is None:
        return True if wanted.text == "null" else "null can't be compared with a value"
    if wanted.text == "null":
        return False
    if isinstance(found, bool):
        if wanted.text not in ("true", "false"):
            return "a yes/no can't be compared with anything but true and false"
        return found is (wanted.text == "true")
    number = _number_of(found)
    if number is None or wanted.number is None:
        return f"{_kind(found)} can't be compared with what was typed"
    return number == wanted.number


def _contains(found: Any, wanted: _Wanted) -> bool | str:
    if isinstance(found, str):
        return wanted.text in found
    if isinstance(found, list):
        if len(found) > MOST_ELEMENTS:
            return f"the list has more than {MOST_ELEMENTS} elements"
        return _any_of(_equals(element, wanted) for element in found)
    return f"{_kind(found)} contains nothing"


def _any_of(answers: Iterable[bool | str]) -> bool | str:
    """True where one answer is; else the first error, if any; else False."""
    error: str | None = None
    for answer in answers:
        if answer is True:
            return True
        if isinstance(answer, str) and error is None:
            error = answer
    return False if error is None else error


def _kind(value: Any) -> str:
    """A word for a value's type; never the value, which may be a secret."""
    if value is None:
        return "null"
    names = {
        bool: "a yes/no",
        str: "this text",
        list: "a list",
        dict: "an object",
        int: "this number",
        float: "this number",
    }
    return names.get(type(value), "this value")
