"""What comes from an upstream is made a declaration, or refused with a sentence; equal ones have one digest."""

import json
from typing import Any

import pytest

from tools.upstreams.declarations import Refusal, declaration_of, digest_of, local_name

WIRE: dict[str, Any] = {
    "name": "add",
    "title": "Add",
    "description": "Adds.",
    "inputSchema": {"type": "object", "properties": {"a": {"type": "number", "maximum": 9007199254740991}}},
    "outputSchema": {"type": "object"},
    "annotations": {"title": "Add", "readOnlyHint": True, "openWorldHint": None, "surprise": "x"},
    "_meta": {"anything": 1},
    "icons": [{"src": "https://evil.test/i.png"}],
    "execution": {"taskSupport": "optional"},
}
DEEP: Any = {}
for _ in range(50_000):
    DEEP = {"items": DEEP}


def _schema(**rest: Any) -> dict[str, Any]:
    return WIRE | {"inputSchema": {"type": "object"} | rest}


def test_declaration_is_what_was_sent_without_what_is_not_ours() -> None:
    assert declaration_of(WIRE) == {
        "name": "add",
        "title": "Add",
        "description": "Adds.",
        "input_schema": WIRE["inputSchema"],
        "output_schema": {"type": "object"},
        "annotations": {"title": "Add", "readOnlyHint": True},
    }


def test_declaration_is_complete_when_little_was_sent() -> None:
    assert declaration_of({"name": "x", "inputSchema": {"properties": {}}}) == {
        "name": "x",
        "title": "",
        "description": "",
        "input_schema": {"type": "object", "properties": {}},
        "output_schema": None,
        "annotations": {},
    }


REFUSALS: list[tuple[Any, str]] = [
    ([], "A tool is a JSON object."),
    ({}, "Its name is not a text."),
    (WIRE | {"name": ""}, "It has no name."),
    (WIRE | {"name": 1}, "Its name is not a text."),
    (WIRE | {"name": "a" * 129}, "Its name has 129 characters; 128 are taken."),
    (WIRE | {"title": ["x"]}, "Its title is not a text."),
    (WIRE | {"title": "a" * 121}, "Its title has 121 characters"),
    (WIRE | {"description": {}}, "Its description is not a text."),
    (WIRE | {"description": "a" * 10_001}, "Its description has 10001 characters"),
    (WIRE | {"description": "a\ud800"}, "Its description can't be written as JSON: A string holds a lone surrogate."),
    (WIRE | {"description": "a\x00b"}, "Its description holds the character ⟦U+0000⟧"),
    (WIRE | {"inputSchema": None}, "Its input schema is not a JSON object."),
    (WIRE | {"inputSchema": True}, "Its input schema is not a JSON object."),
    (WIRE | {"inputSchema": {"type": "array"}}, "The root of its input schema is not an object."),
    (WIRE | {"inputSchema": {"type": ["object", "null"]}}, "The root of its input schema is not an object."),
    (WIRE | {"outputSchema": []}, "Its output schema is not a JSON object."),
    (WIRE | {"outputSchema": {"type": "string"}}, "The root of its output schema is not an object."),
    (_schema(minimum=2**53), "Its input schema has a number beyond 2^53"),
    (_schema(minimum=-(10**5000)), "Its input schema has a number beyond 2^53"),
    (_schema(minimum=1e300), "Its input schema has a number beyond 2^53"),
    (_schema(minimum=float("inf")), "Its input schema has a number beyond 2^53"),
    (_schema(minimum=float("nan")), "Its input schema has a number beyond 2^53"),
    (_schema(default={"a\ud800": 1}), "Its input schema can't be written as JSON"),
    (_schema(default=[{"\x00": 1}]), "Its input schema holds the character ⟦U+0000⟧"),
    (_schema(default="x" * 65_536), "Its input schema has 65566 bytes; 65536 are taken."),
    (_schema(items=DEEP), "Its input schema nests more than 32 levels."),
    (_schema(properties={f"p{n}": {} for n in range(1001)}), "Its input schema has more than 1000 properties."),
    (_schema(default=object()), "Its input schema can't be written as JSON"),
    (_schema(**{"properties": {1: {}}}), "Its input schema can't be written as JSON"),
    (WIRE | {"annotations": "x"}, "Its annotations are not a JSON object."),
    (WIRE | {"annotations": {"readOnlyHint": "yes"}}, "Its annotation readOnlyHint is not true or false."),
    (WIRE | {"annotations": {"destructiveHint": 0}}, "Its annotation destructiveHint is not true or false."),
    (WIRE | {"annotations": {"title": 1}}, "Its annotation title is not a text."),
    (WIRE | {"annotations": {"title": "a" * 121}}, "The title in its annotations is longer than 120 characters."),
]


@pytest.mark.parametrize(("wire", "detail"), REFUSALS, ids=[row[1][:50] for row in REFUSALS])
def test_tool_is_refused_with_a_sentence(wire: Any, detail: str) -> None:
    answer = declaration_of(wire)
    assert isinstance(answer, Refusal)
    assert answer.detail.startswith(detail)


def test_tool_is_taken_at_each_bound() -> None:
    for wire in (
        WIRE | {"name": "a" * 128, "title": "a" * 120, "description": "a" * 10_000},
        WIRE | {"description": r"a literal \u0000 and \\u0000"},
        _schema(default="x" * (65_536 - 30)),
        _schema(properties={f"p{n}": {} for n in range(1000)}),
    ):
        assert isinstance(declaration_of(wire), dict)


def test_what_was_sent_stays_as_it_was() -> None:
    before = json.dumps(WIRE)
    declaration_of(WIRE)
    assert json.dumps(WIRE) == before


def test_digest_is_of_what_is_accepted_and_of_nothing_else() -> None:
    declaration = declaration_of(WIRE)
    assert isinstance(declaration, dict)
    digest = digest_of(declaration)
    same = declaration_of(json.loads(json.dumps(WIRE, sort_keys=True)) | {"_meta": {}, "icons": []})
    assert isinstance(same, dict)
    assert digest_of(same) == digest == digest_of(declaration | {"status": "accepted"})
    for change in (
        {"name": "Add"},
        {"title": ""},
        {"description": "Adds.\u200b"},
        {"inputSchema": {"type": "object"}},
        {"outputSchema": None},
        {"annotations": {}},
    ):
        changed = declaration_of(WIRE | change)
        assert isinstance(changed, dict)
        assert digest_of(changed) != digest


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("create_issue", "github.create_issue"),
        ("Create Issue", "github.create_issue"),
        ("API-post-page", "github.api-post-page"),
        ("repo/files:read", "github.repo_files_read"),
        ("a" * 49, "github." + "a" * 49),
        ("v1.2", "github.v1.2"),
    ],
)
def test_name_here_is_the_upstreams_folded(name: str, expected: str) -> None:
    assert local_name("github", name) == expected


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("a" * 50, "“github.aaaa"),
        ("pay_propose", "The endings _propose and _commit are reserved"),
        ("Pay Commit", "The endings _propose and _commit are reserved"),
        ("sеnd", "Its name has letters beyond a-z"),
        ("a\u200b", "Its name has letters beyond a-z"),
        ("//", "Its name has neither letters nor digits."),
        ("", "Its name has neither letters nor digits."),
    ],
)
def test_name_is_refused_with_a_sentence(name: str, detail: str) -> None:
    answer = local_name("github", name)
    assert isinstance(answer, Refusal)
    assert answer.detail.startswith(detail)
