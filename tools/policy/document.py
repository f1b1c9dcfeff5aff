"""A policy revision as it is frozen: plain values that go to JSON and come back equal, or not at all."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tools.policy.conditions import Condition, Operator
from tools.policy.effects import Effect


class DocumentProblem(Exception):
    """Why a document can't be read. `path` leads to the place: rules.2.effect."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class RuleDocument:
    """One rule. `parameters` belong to the effect.

    Shape: rate {"rate": "10/m"}; redact {"paths": ["customer.email"]}; require_approval {"quorum": 2,
    "groups": ["finance"], "expires_in_s": 3600}, each optional; the other effects have none.
    """

    id: str
    name: str
    tools: tuple[str, ...]
    effect: Effect
    conditions: tuple[Condition, ...] = ()
    expression: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "tools": list(self.tools),
            "conditions": [{"field": c.field, "operator": c.operator.value, "value": c.value} for c in self.conditions],
            "expression": self.expression,
            "effect": self.effect.value,
            "parameters": copy.deepcopy(self.parameters),
        }


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    rules: tuple[RuleDocument, ...]
    self_confirm: bool = False
    no_network: bool = False
    dry_run: bool = False
    tool_search: bool = False

    def to_json(self) -> dict[str, Any]:
        """Everything, in values of JSON; nothing shared with this document."""
        return {
            "rules": [rule.to_json() for rule in self.rules],
            "self_confirm": self.self_confirm,
            "no_network": self.no_network,
            "dry_run": self.dry_run,
            # Only where it is on: a document of before this switch is the same document, with the same digest.
            **({"tool_search": True} if self.tool_search else {}),
        }

    @classmethod
    def from_json(cls, value: Any) -> PolicyDocument:
        """The document that `to_json` wrote. Raises DocumentProblem: nothing is guessed, no key may be new or, but for
        `tool_search`, lack."""
        if isinstance(value, Mapping):
            value = {"tool_search": False, **value}
        at = _Place("", value, _DOCUMENT_KEYS)
        return cls(
            rules=tuple(_rule(f"rules.{i}", rule) for i, rule in enumerate(at.list("rules"))),
            self_confirm=at.bool("self_confirm"),
            no_network=at.bool("no_network"),
            dry_run=at.bool("dry_run"),
            tool_search=at.bool("tool_search"),
        )


# What holds for every rule; a policy's draft has fields of these names.
SWITCHES = ("self_confirm", "no_network", "dry_run", "tool_search")
_DOCUMENT_KEYS = frozenset({"rules", *SWITCHES})
_RULE_KEYS = frozenset({"id", "name", "tools", "conditions", "expression", "effect", "parameters"})
_EFFECTS = frozenset(effect.value for effect in Effect)
_OPERATORS = frozenset(operator.value for operator in Operator)
_CONDITION_KEYS = frozenset({"field", "operator", "value"})


class _Place:
    """An object at a path, with exactly these keys; reads their values by type."""

    def __init__(self, path: str, value: Any, keys: frozenset[str]) -> None:
        self.path = path
        if not isinstance(value, Mapping):
            raise DocumentProblem(path, "must be an object")
        for key in value:
            if key not in keys:
                raise DocumentProblem(self._at(str(key)), "is not known")
        for key in sorted(keys - value.keys()):
            raise DocumentProblem(self._at(key), "is missing")
        self.value = value

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def refuse(self, key: str, message: str) -> NoReturn:
        raise DocumentProblem(self._at(key), message)

    def text(self, key: str) -> str:
        value = self.value[key]
        return value if isinstance(value, str) else self.refuse(key, "must be a text")

    def bool(self, key: str) -> bool:
        value = self.value[key]
        return value if isinstance(value, bool) else self.refuse(key, "must be true or false")

    def list(self, key: str) -> list[Any]:
        value = self.value[key]
        return value if isinstance(value, list) else self.refuse(key, "must be a list")

    def object(self, key: str) -> dict[str, Any]:
        value = self.value[key]
        return copy.deepcopy(value) if isinstance(value, dict) else self.refuse(key, "must be an object")


def _rule(path: str, value: Any) -> RuleDocument:
    at = _Place(path, value, _RULE_KEYS)
    effect = at.text("effect")
    if effect not in _EFFECTS:
        at.refuse("effect", f"“{effect}” is not an effect")
    tools = at.list("tools")
    for i, tool in enumerate(tools):
        if not isinstance(tool, str):
            at.refuse(f"tools.{i}", "must be a text")
    return RuleDocument(
        id=at.text("id"),
        name=at.text("name"),
        tools=tuple(tools),
        conditions=tuple(_condition(f"{path}.conditions.{i}", c) for i, c in enumerate(at.list("conditions"))),
        expression=at.text("expression"),
        effect=Effect(effect),
        parameters=at.object("parameters"),
    )


def _condition(path: str, value: Any) -> Condition:
    at = _Place(path, value, _CONDITION_KEYS)
    operator = at.text("operator")
    if operator not in _OPERATORS:
        at.refuse("operator", f"“{operator}” is not an operator")
    return Condition(at.text("field"), Operator(operator), at.text("value"))
