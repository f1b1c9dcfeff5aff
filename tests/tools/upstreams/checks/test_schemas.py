"""Schemas that fetch or can't be used are told, and nothing is fetched to find out."""

from typing import Any

import pytest

from tests.tools.upstreams.checks.declared import declared
from tools.upstreams.checks import schemas


def _object(**rest: Any) -> dict[str, Any]:
    return {"type": "object"} | rest


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"items": schema}
    return _object(properties={"a": schema})


# (schema, check or None, place below input_schema, part of the detail)
SCHEMAS: list[tuple[Any, str | None, str, str]] = [
    (_object(properties={"a": {"$ref": "#/$defs/A"}}, **{"$defs": {"A": {"type": "string"}}}), None, "", ""),
    (_object(properties={"a": {"$ref": "https://evil.test/a"}}), "fetching_schema", "/properties/a/$ref", "https://"),
    (_object(properties={"a": {"$ref": "file:///etc/passwd"}}), "fetching_schema", "/properties/a/$ref", "file:///"),
    (_object(properties={"a": {"$ref": "other.json#/A"}}), "fetching_schema", "/properties/a/$ref", "other.json"),
    (_object(properties={"a": {"$dynamicRef": "//evil.test#a"}}), "fetching_schema", "/properties/a/$dynamicRef", "//"),
    (_object(properties={"a": {"$ref": {"x": 1}}}), "fetching_schema", "/properties/a/$ref", "Refers to"),
    (_object(allOf=[{"items": {"$ref": "http://x"}}]), "fetching_schema", "/allOf/0/items/$ref", "http://x"),
    # A property may have such a name, and data may look like a schema.
    (_object(properties={"$ref": {"type": "string"}, "$id": {"type": "string"}}), None, "", ""),
    (_object(properties={"a": {"default": {"$ref": "https://x"}, "enum": [{"$ref": "https://x"}]}}), None, "", ""),
    (
        _object(properties={"default": {"$ref": "https://x"}}),
        "fetching_schema",
        "/properties/default/$ref",
        "https://x",
    ),
    (
        _object(properties={"properties": {"$ref": "https://x"}}),
        "fetching_schema",
        "/properties/properties/$ref",
        "https://x",
    ),
    (
        _object(properties={"a": {"$ref": "#/default"}}, default={"$ref": "https://x"}),
        "unusable_schema",
        "",
        "No arguments can be checked",
    ),
    (_object(**{"$schema": "http://json-schema.org/draft-07/schema#"}), None, "", ""),
    (_object(**{"$schema": "https://json-schema.org/draft/2020-12/schema"}), None, "", ""),
    (_object(**{"$schema": "https://evil.test/schema"}), "fetching_schema", "/$schema", "no known draft"),
    (_object(**{"$id": "https://evil.test/root"}), None, "", ""),
    (_object(properties={"a": {"$id": "https://x"}}), "fetching_schema", "/properties/a/$id", "would change"),
    (_object(properties={"a": {"type": "strange"}}), "unusable_schema", "", "No arguments can be checked"),
    (_object(properties={"a": {"pattern": "("}}), "unusable_schema", "", "No arguments can be checked"),
    (_object(properties={"a": {"pattern": "((((a{99}){99}){99}){99})"}}), "unusable_schema", "", "No arguments"),
    (_object(properties={"a": {"pattern": "a" * 1000}}), None, "", ""),
    (_object(properties={"a": {"pattern": "a" * 1001}}), "large_pattern", "/properties/a/pattern", "1001 characters"),
    (_object(properties={"a": {"$ref": "#/$defs/missing"}}), "unusable_schema", "", "No arguments"),
    ({"type": "array"}, "unusable_schema", "", "The root must be"),
    ({}, "unusable_schema", "", "The root must be"),
    ([], "unusable_schema", "", "A schema is a JSON object."),
    (None, "unusable_schema", "", "A schema is a JSON object."),
    (_nested(29), None, "", ""),
    (_nested(30), "deep_schema", "/properties/a" + "/items" * 30, "more than 32 levels"),
    (_nested(5_000), "deep_schema", "/properties/a" + "/items" * 30, "more than 32 levels"),
]


@pytest.mark.parametrize(("schema", "check", "place", "detail"), SCHEMAS, ids=range(len(SCHEMAS)))
def test_schema_is_told_when_it_fetches_or_is_of_no_use(
    schema: Any, check: str | None, place: str, detail: str
) -> None:
    declaration = declared() | {"input_schema": schema}
    findings = list(schemas.check(declaration))
    if check is None:
        assert findings == []
    else:
        assert findings[0].check == check
        assert findings[0].blocking
        assert findings[0].where.startswith(f"input_schema{place}"[:199])
        assert detail in findings[0].detail


def test_output_schema_is_told_as_the_input_schema_is() -> None:
    declaration = declared(output_schema=_object(properties={"a": {"$ref": "https://evil.test/a"}}))
    assert [finding.where for finding in schemas.check(declaration)] == ["output_schema/properties/a/$ref"]
    assert list(schemas.check(declared(output_schema=None))) == []
