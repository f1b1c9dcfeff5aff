"""Two declarations side by side: every place that differs, whole, with nothing hidden."""

from typing import Any

import pytest

from tests.tools.upstreams.checks.declared import declared
from tools.upstreams.differences import MOST_WORDS, Difference, Mark, differences


def _rows(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(row.where, row.before, row.after) for row in differences(before, after)]


BASE = declared(
    properties={"a": {"type": "number", "default": 1}, "b": {"enum": ["x", "y"]}}, annotations={"title": "A"}
)
CHANGES: list[tuple[dict[str, Any], list[tuple[str, str | None, str | None]]]] = [
    ({}, []),
    ({"description": "Adds."}, [("description", "Adds two numbers.", "Adds.")]),
    ({"description": "Adds two numbers.\u200b"}, [("description", "Adds two numbers.", "Adds two numbers.⟦U+200B⟧")]),
    ({"description": "a\nb"}, [("description", "Adds two numbers.", "a\nb")]),
    ({"title": "Add"}, [("title", "", "Add")]),
    ({"output_schema": {"type": "object"}}, [("output_schema/type", None, '"object"')]),
    ({"output_schema": {}}, [("output_schema", None, "{}")]),
    ({"annotations": {}}, [("annotations", None, "{}"), ("annotations/title", "A", None)]),
    ({"annotations": {"title": "A", "readOnlyHint": True}}, [("annotations/readOnlyHint", None, "true")]),
]


@pytest.mark.parametrize(("change", "rows"), CHANGES)
def test_difference_is_told_place_by_place(change: dict[str, Any], rows: list[Any]) -> None:
    assert _rows(BASE, BASE | change) == rows


@pytest.mark.parametrize(
    ("schema", "rows"),
    [
        ({"a": {"type": "number", "default": 1.0}, "b": {"enum": ["x", "y"]}}, []),
        ({"a": {"type": "number", "default": "1"}, "b": {"enum": ["x", "y"]}}, [("a/default", "1", '"1"')]),
        ({"a": {"type": "number", "default": True}, "b": {"enum": ["x", "y"]}}, [("a/default", "1", "true")]),
        ({"a": {"type": "number", "default": None}, "b": {"enum": ["x", "y"]}}, [("a/default", "1", "null")]),
        ({"a": {"type": "number", "default": 1}, "b": {"enum": ["x"]}}, [("b/enum/1", '"y"', None)]),
        (
            {"a": {"type": "number", "default": 1}, "b": {"enum": ["x", "y"]}, "c/d\u202e": {}},
            [("c~1d⟦U+202E⟧", None, "{}")],
        ),
    ],
)
def test_difference_inside_a_schema_tells_values_apart(schema: dict[str, Any], rows: list[Any]) -> None:
    after = BASE | {"input_schema": {"type": "object", "properties": schema}}
    assert _rows(BASE, after) == [(f"input_schema/properties/{where}", old, new) for where, old, new in rows]


def test_words_are_marked_and_make_up_the_texts() -> None:
    (row,) = differences(declared(description="Adds two numbers."), declared(description="Adds  two big numbers!"))
    assert [(piece.mark, piece.text) for piece in row.before_pieces] == [
        (Mark.SAME, "Adds"),
        (Mark.GONE, " "),
        (Mark.SAME, "two "),
        (Mark.SAME, "numbers"),
        (Mark.GONE, "."),
    ]
    assert [piece.text for piece in row.after_pieces if piece.mark is Mark.NEW] == ["  ", "big ", "!"]
    _assert_whole(row)


@pytest.mark.parametrize("text", ["x\u200b\u200by ⟦U+0041⟧", "a " * 5_000, "", "∑ 😀\n\ttab"])
def test_pieces_make_up_the_texts_whatever_they_are(text: str) -> None:
    for row in [
        *differences(declared(), declared(description=text)),
        *differences(declared(description=text), declared()),
    ]:
        _assert_whole(row)


def test_texts_stand_whole_when_they_have_too_many_words_to_compare() -> None:
    (row,) = differences(declared(description="a " * MOST_WORDS), declared(description="b"))
    assert [piece.mark for piece in (*row.before_pieces, *row.after_pieces)] == [Mark.GONE, Mark.NEW]
    _assert_whole(row)


def _assert_whole(row: Difference) -> None:
    assert "".join(piece.text for piece in row.before_pieces) == (row.before or "")
    assert "".join(piece.text for piece in row.after_pieces) == (row.after or "")
