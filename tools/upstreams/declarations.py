"""A tool as an upstream declares it, made fit to be stored, compared and shown; or a sentence why it is not.

Nothing that is refused here can be accepted by an operator: it could not be stored, told to agents or checked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from telemetry.canonical import LARGEST_INTEGER, NotCanonical, canonical_bytes
from telemetry.canonical import digest as sha256
from telemetry.visible import visible
from tools.models.tool import NAME_PATTERN, RESERVED_ENDINGS

# What an operator accepts: the digest is taken of these and of nothing else.
FIELDS = ("name", "title", "description", "input_schema", "output_schema", "annotations")
LONGEST_NAME = 128
LONGEST_TITLE = 120
LONGEST_DESCRIPTION = 10_000
MOST_SCHEMA_BYTES = 64 * 1024
MAX_DEPTH = 32
MOST_PROPERTIES = 1_000
# In canonical bytes: after no backslash, or after escaped ones.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_HINTS: Mapping[str, type] = {
    "title": str,
    "readOnlyHint": bool,
    "destructiveHint": bool,
    "idempotentHint": bool,
    "openWorldHint": bool,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a tool can't be had. `detail` is a sentence, safe to show."""

    detail: str


def declaration_of(wire: Any) -> dict[str, Any] | Refusal:
    """The declaration in an MCP Tool object as it stands on the wire (camelCase); its `_meta` and icons are left out.

    Shape: FIELDS. Both schemas have an object at the root; of the annotations those of the standard are kept.
    """
    if not isinstance(wire, Mapping):
        return Refusal("A tool is a JSON object.")
    declaration = {
        "name": wire.get("name"),
        "title": _or_empty(wire.get("title")),
        "description": _or_empty(wire.get("description")),
        "input_schema": wire.get("inputSchema"),
        "output_schema": wire.get("outputSchema"),
        "annotations": wire.get("annotations"),
    }
    problem = _text_problem(declaration) or _schema_problem(declaration) or _annotations_problem(declaration)
    if problem:
        return Refusal(problem)
    for which in ("input_schema", "output_schema"):
        if declaration[which] is not None:
            declaration[which] = {"type": "object"} | declaration[which]
    hints = declaration["annotations"] or {}
    declaration["annotations"] = {name: hints[name] for name in _HINTS if hints.get(name) is not None}
    return Refusal(problem) if (problem := _size_problem(declaration)) else declaration


def digest_of(declaration: Mapping[str, Any]) -> str:
    """SHA-256 over the RFC 8785 bytes of FIELDS; equal where an operator would see no difference."""
    return sha256(canonical_bytes({field: declaration[field] for field in FIELDS}))


def as_told(declaration: Mapping[str, Any]) -> dict[str, Any]:
    """The declaration as agents are told it once accepted: a title among the hints stands for one of its own."""
    hints = dict(declaration["annotations"])
    title = hints.pop("title", "")
    return {**declaration, "title": declaration["title"] or title, "annotations": hints}


def local_name(upstream: str, upstream_name: str) -> str | Refusal:
    """What agents call the tool by. Two tools may fold to one name: whoever stores them refuses the second."""
    if not upstream_name.isascii():
        return Refusal("Its name has letters beyond a-z, which could be taken for others.")
    folded = re.sub(r"[^a-z0-9_.-]", "_", upstream_name.lower())
    if not re.search(r"[a-z0-9]", folded):
        return Refusal("Its name has neither letters nor digits.")
    name = f"{upstream}.{folded}"
    if name.endswith(RESERVED_ENDINGS):
        return Refusal(f"The endings {' and '.join(RESERVED_ENDINGS)} are reserved for two-phase tools.")
    if not re.fullmatch(NAME_PATTERN[1:-1], name):
        return Refusal(f"“{name[:80]}” is longer than the 56 characters that a tool's name may have.")
    return name


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _text_problem(declaration: Mapping[str, Any]) -> str:
    for field, longest in (("name", LONGEST_NAME), ("title", LONGEST_TITLE), ("description", LONGEST_DESCRIPTION)):
        text = declaration[field]
        if not isinstance(text, str):
            return f"Its {field} is not a text."
        if len(text) > longest:
            return f"Its {field} has {len(text)} characters; {longest} are taken."
    return "" if declaration["name"] else "It has no name."


def _schema_problem(declaration: Mapping[str, Any]) -> str:
    for field, told in (("input_schema", "input schema"), ("output_schema", "output schema")):
        schema = declaration[field]
        if schema is None and field == "output_schema":
            continue
        if not isinstance(schema, Mapping):
            return f"Its {told} is not a JSON object."
        if schema.get("type", "object") != "object":
            return f"The root of its {told} is not an object."
        if problem := _json_problem(schema):
            return f"Its {told} {problem}"
    return ""


def _annotations_problem(declaration: Mapping[str, Any]) -> str:
    hints = declaration["annotations"]
    if hints is None:
        return ""
    if not isinstance(hints, Mapping):
        return "Its annotations are not a JSON object."
    for name, kind in _HINTS.items():
        if hints.get(name) is not None and not isinstance(hints[name], kind):
            return f"Its annotation {name} is not {'true or false' if kind is bool else 'a text'}."
    if len(hints.get("title") or "") > LONGEST_TITLE:
        return f"The title in its annotations is longer than {LONGEST_TITLE} characters."
    return ""


def _json_problem(root: Mapping[str, Any]) -> str:
    """Depth, numbers and counts, without recursion: what comes after may recurse over what passed."""
    waiting: list[tuple[Any, int]] = [(root, 1)]
    properties = 0
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, Mapping | list) and depth > MAX_DEPTH:
            return f"nests more than {MAX_DEPTH} levels."
        if isinstance(value, Mapping):
            properties += len(value["properties"]) if isinstance(value.get("properties"), Mapping) else 0
            if properties > MOST_PROPERTIES:
                return f"has more than {MOST_PROPERTIES} properties."
            waiting += ((item, depth + 1) for item in value.values())
        elif isinstance(value, list):
            waiting += ((item, depth + 1) for item in value)
        elif isinstance(value, int | float) and not abs(value) <= LARGEST_INTEGER:
            return "has a number beyond 2^53, which readers of JSON do not agree on."
    return ""


def _size_problem(declaration: Mapping[str, Any]) -> str:
    """What can't be written down once and for all, or not be stored."""
    for field in FIELDS:
        told = field.replace("_", " ")
        try:
            written = canonical_bytes(declaration[field])
        except NotCanonical as problem:
            return f"Its {told} can't be written as JSON: {problem.detail}"
        if field.endswith("_schema") and len(written) > MOST_SCHEMA_BYTES:
            return f"Its {told} has {len(written)} bytes; {MOST_SCHEMA_BYTES} are taken."
        if _NUL.search(written):
            return f"Its {told} holds the character {visible(chr(0))}, which can't be stored."
    return ""
