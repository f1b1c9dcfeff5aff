"""A tried text with its findings marked: every character once, in order, whatever detectors say of places."""

import pytest

from telemetry.admin.try_guardrails import pieces
from telemetry.detectors.detector import Finding


def found(kind, start, end):
    return Finding(kind, start, end, 1.0)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], [("abcdef", "")]),
        ([found("x", 1, 3)], [("a", ""), ("bc", "x"), ("def", "")]),
        ([found("x", 0, 6)], [("abcdef", "x")]),
        ([found("x", 4, 6), found("y", 0, 2)], [("ab", "y"), ("cd", ""), ("ef", "x")]),
        ([found("x", 0, 2), found("y", 2, 4)], [("ab", "x"), ("cd", "y"), ("ef", "")]),
        ([found("x", 1, 4), found("y", 2, 3)], [("a", ""), ("bcd", "x, y"), ("ef", "")]),
        ([found("x", 1, 3), found("y", 2, 5)], [("a", ""), ("bcde", "x, y"), ("f", "")]),
        ([found("x", 1, 3), found("x", 1, 3)], [("a", ""), ("bc", "x"), ("def", "")]),
        # places that are none
        ([found("x", 3, 3), found("y", 5, 2), found("z", 9, 12)], [("abcdef", "")]),
        ([found("x", -4, 2), found("y", 5, 99)], [("ab", "x"), ("cde", ""), ("f", "y")]),
    ],
)
def test_each_character_stands_once(findings, expected):
    assert [(piece.text, piece.kinds) for piece in pieces("abcdef", findings)] == expected


def test_what_is_hidden_is_shown_where_it_stands():
    shown = pieces("a\u202eb\nc", [found("bad\u200b", 1, 3)])
    assert [(piece.text, piece.kinds) for piece in shown] == [("a", ""), ("⟦U+202E⟧b", "bad⟦U+200B⟧"), ("\nc", "")]
