"""The output schema that a client is told: TypeScript clients hold every structured result to it, refusals too."""

from collections.abc import Iterator, Mapping
from typing import Any

# A problem document (observatory/doors/problem.py), or what a refused commit answers.
REFUSED_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "anyOf": [
        {
            "properties": {"code": {"type": "string"}, "title": {"type": "string"}, "detail": {"type": "string"}},
            "required": ["code", "title", "detail"],
        },
        {
            "properties": {"commit_id": {"type": "string"}, "reason": {"type": "string"}},
            "required": ["commit_id", "reason"],
        },
    ],
}
# What stands in the place of a result over the tool's limit (tools/result_limit.py).
CUT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"truncated": {"const": True}, "handle": {"type": "string"}},
    "required": ["truncated", "handle"],
}
# What only has its meaning at the root of a schema, where it is put again.
AT_THE_ROOT = ("$schema", "$defs", "definitions")
FROM_THE_ROOT = ("#/$defs/", "#/definitions/")


def told(own: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A schema that every structured result of the tool fits: its own answers, cut ones and refusals.

    None where there is no such schema: nothing, a root that is no object, or references that would lead elsewhere.
    """
    if not own or own.get("type") != "object" or not all(_stays(place) for place in _places(own)):
        return None
    root = {name: own[name] for name in AT_THE_ROOT if name in own}
    inner = {name: value for name, value in own.items() if name not in root}
    return {"type": "object", "anyOf": [inner, CUT_SCHEMA, REFUSED_SCHEMA], **root}


def _places(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, Mapping):
        yield schema
        for value in schema.values():
            yield from _places(value)
    elif isinstance(schema, list | tuple):
        for item in schema:
            yield from _places(item)


def _stays(place: Mapping[str, Any]) -> bool:
    """What it refers to is found from an inner place as from the root."""
    if isinstance(place.get("$id"), str) or "$dynamicRef" in place or "$recursiveRef" in place:
        return False
    reference = place.get("$ref")
    return not isinstance(reference, str) or reference.startswith(FROM_THE_ROOT)
