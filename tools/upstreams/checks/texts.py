"""Every text of a declaration that a model may read, with its place: descriptions, names of properties, values."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# Keys whose value is an object of names that the upstream chose.
NAMING_KEYS = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependentRequired"}
)
# Keys whose value is data, not a schema.
DATA_KEYS = frozenset({"enum", "const", "default", "examples", "example"})
# Keys of the standard, and a few that generators write; a model reads any other as it reads a description.
_ORDINARY_KEYS = (
    NAMING_KEYS
    | DATA_KEYS
    | frozenset(
        re.findall(
            r"\S+",
            """
            $schema $id $ref $anchor $dynamicRef $dynamicAnchor $recursiveRef $recursiveAnchor $vocabulary $comment id
            type title description format pattern required items prefixItems additionalItems unevaluatedItems contains
            additionalProperties unevaluatedProperties propertyNames dependencies allOf anyOf oneOf not if then else
            minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems maxItems
            uniqueItems minContains maxContains minProperties maxProperties readOnly writeOnly deprecated
            contentEncoding contentMediaType contentSchema nullable discriminator mapping propertyName xml externalDocs
            """,
        )
    )
)
MOST_TEXTS = 20_000


class Role(StrEnum):
    NAME = "name"  # of the tool
    PROSE = "prose"  # titles and descriptions
    PROPERTY = "property"  # a name inside a schema
    VALUE = "value"  # everything else that is a string


@dataclass(frozen=True, slots=True)
class Text:
    where: str
    text: str
    role: Role


def texts_of(declaration: Mapping[str, Any]) -> Iterator[Text]:
    """In the order of the declaration, at most MOST_TEXTS. The values' types are not relied on."""
    for number, text in enumerate(_texts(declaration)):
        if number == MOST_TEXTS:
            return
        yield text


def parameters_of(declaration: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(place, name, schema) of what a caller fills in, however deep in the input schema."""
    for where, key, value, is_name in _nodes(declaration.get("input_schema"), "input_schema"):
        if is_name and where.rsplit("/", 2)[-2] == "properties":
            yield where, key, value


def pointer(where: str, key: object) -> str:
    """One step deeper; RFC 6901 without the leading slash."""
    return f"{where}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _texts(declaration: Mapping[str, Any]) -> Iterator[Text]:
    for where, role in (("name", Role.NAME), ("title", Role.PROSE), ("description", Role.PROSE)):
        if isinstance(text := declaration.get(where), str) and text:
            yield Text(where, text, role)
    for root in ("input_schema", "output_schema", "annotations"):
        for where, key, value, is_name in _nodes(declaration.get(root), root):
            if is_name or (isinstance(key, str) and key not in _ORDINARY_KEYS):
                yield Text(where, key, Role.PROPERTY)
            if isinstance(value, str) and value:
                yield Text(where, value, Role.PROSE if key in ("title", "description", "$comment") else Role.VALUE)


def _nodes(root: Any, place: str) -> Iterator[tuple[str, Any, Any, bool]]:
    """(place, key, value, whether the upstream chose the key) of everything below, without recursion."""
    inside: list[tuple[str, Any, Any, bool]]
    waiting: list[tuple[str, Any, Any, bool]] = [(place, None, root, False)]
    while waiting:
        where, key, value, is_name = waiting.pop()
        if key is not None:
            yield where, key, value, is_name
        if isinstance(value, Mapping):
            # What stands under a chosen name is a schema again.
            names = (key in NAMING_KEYS or key in DATA_KEYS) and not is_name
            inside = [(pointer(where, name), str(name), item, names) for name, item in value.items()]
        elif isinstance(value, list | tuple):
            inside = [(pointer(where, number), number, item, False) for number, item in enumerate(value)]
        else:
            continue
        waiting.extend(reversed(inside))
