"""Schemas that fetch, that can't be used, or that cost too much to check. Nothing is fetched to find out."""

from collections.abc import Iterator, Mapping
from typing import Any

from tools.schema_validator import SchemaProblem, SchemaValidator
from tools.upstreams.checks.finding import Finding, found, quoted
from tools.upstreams.checks.texts import DATA_KEYS, NAMING_KEYS, pointer

MAX_DEPTH = 32
LONGEST_PATTERN = 1_000
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_DRAFTS = frozenset(
    f"{scheme}://json-schema.org/{draft}/schema"
    for scheme in ("http", "https")
    for draft in ("draft-04", "draft-06", "draft-07", "draft/2019-09", "draft/2020-12")
)


def check(declaration: Mapping[str, Any]) -> Iterator[Finding]:
    for root in ("input_schema", "output_schema"):
        schema = declaration.get(root)
        if schema is None and root == "output_schema":
            continue
        if not isinstance(schema, Mapping):
            yield found("unusable_schema", root, "A schema is a JSON object.")
            continue
        trouble = list(_walk(schema, root))
        yield from trouble
        # A validator is built only of what fetches nothing and ends.
        if not any(finding.check in ("fetching_schema", "deep_schema") for finding in trouble):
            yield from _usable(schema, root)


def _usable(schema: Mapping[str, Any], root: str) -> Iterator[Finding]:
    if schema.get("type") != "object":
        yield found("unusable_schema", root, 'The root must be {"type": "object", ...}.')
    try:
        SchemaValidator(schema)
    except (SchemaProblem, TypeError, OverflowError) as problem:
        yield found("unusable_schema", root, f"No arguments can be checked against it: {quoted(str(problem))}.")


def _walk(root: Mapping[str, Any], place: str) -> Iterator[Finding]:
    """Every schema in the schema; what is data or a name in it is not read as a keyword."""
    waiting: list[tuple[str, Any, int, bool]] = [(place, root, 1, False)]
    while waiting:
        where, value, depth, is_names = waiting.pop()
        if depth > MAX_DEPTH and isinstance(value, Mapping | list | tuple):
            yield found("deep_schema", where, f"Nests more than {MAX_DEPTH} levels.")
            return
        if isinstance(value, list | tuple):
            waiting.extend((pointer(where, number), item, depth + 1, False) for number, item in enumerate(value))
        elif isinstance(value, Mapping):
            for key, item in value.items():
                if not is_names:
                    yield from _keyword(pointer(where, key), key, item, is_root=value is root)
                if is_names or key not in DATA_KEYS:
                    waiting.append((pointer(where, key), item, depth + 1, not is_names and key in NAMING_KEYS))


def _keyword(where: str, key: str, value: Any, *, is_root: bool) -> Iterator[Finding]:
    if key in _REFERENCES and not (isinstance(value, str) and value.startswith("#")):
        yield found("fetching_schema", where, f"Refers to {quoted(str(value))}: references go inside it only.")
    elif key == "$schema" and not (isinstance(value, str) and value.rstrip("#") in _DRAFTS):
        yield found("fetching_schema", where, f"{quoted(str(value))} is no known draft of JSON Schema.")
    elif key == "$id" and not is_root:
        yield found("fetching_schema", where, f"{quoted(str(value))} would change what references below it mean.")
    elif key == "pattern" and isinstance(value, str) and len(value) > LONGEST_PATTERN:
        yield found("large_pattern", where, f"A pattern of {len(value)} characters.")
