"""The output schema that a client is told: every structured result fits it, and only what is one."""

import pytest
from jsonschema_rs import validator_for

from observatory.doors.mcp.output_schemas import told

OWN = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"ticket": {"$ref": "#/$defs/Ticket"}},
    "required": ["ticket"],
    "additionalProperties": False,
    "$defs": {"Ticket": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}},
}
ANSWERS = [
    ({"ticket": {"id": 7}}, True),
    ({"ticket": {"id": "7"}}, False),
    ({"ticket": {"id": 7}, "more": 1}, False),
    ({}, False),
    ({"truncated": True, "handle": "h", "size_bytes": 9, "start": "{"}, True),
    ({"truncated": False, "handle": "h"}, False),
    ({"type": "urn:x", "title": "Arguments refused", "status": 422, "detail": "no", "code": "denied_schema"}, True),
    ({"commit_id": "c", "status": "blocked", "reason": "nonce_replay"}, True),
]


@pytest.mark.parametrize(("answer", "fits"), ANSWERS)
def test_an_answer_a_cut_one_and_a_refusal_fit_and_nothing_else(answer, fits):
    assert validator_for(told(OWN)).is_valid(answer) is fits


NOT_TOLD = [
    None,
    {},
    {"type": "array"},
    {"anyOf": [{"type": "object"}]},
    {"type": "object", "properties": {"next": {"$ref": "#"}}},
    {"type": "object", "properties": {"b": {"$ref": "#/properties/a"}}},
    {"type": "object", "anyOf": [{"$ref": "other.json"}]},
    {"$id": "https://example.com/x", "type": "object"},
    {"type": "object", "properties": {"a": {"$dynamicRef": "#meta"}}},
]


@pytest.mark.parametrize("schema", NOT_TOLD)
def test_a_schema_that_would_mean_something_else_is_not_told(schema):
    assert told(schema) is None


def test_a_property_may_be_called_as_a_keyword_is():
    schema = {"type": "object", "properties": {"$id": {"type": "string"}, "$ref": {"type": "integer"}}}
    assert validator_for(told(schema)).is_valid({"$id": "a", "$ref": 1})
