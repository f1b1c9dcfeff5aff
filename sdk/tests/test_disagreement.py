"""A score of 0 to 1, the same both ways, in a bounded time."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_observatory.disagreement import disagreement

values = st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.integers())


@given(values, values)
def test_score_is_in_bounds_and_symmetric(one: Any, other: Any) -> None:
    assert 0.0 <= disagreement(one, other) <= 1.0
    assert disagreement(one, other) == disagreement(other, one)


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.lists(st.integers()))
def test_same_answer_does_not_disagree(answer: Any) -> None:
    assert disagreement(answer, answer) == 0.0


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ("yes", "no", 1, 1),
        ("", "words", 0.5, 1),
        ("Transfer 100 to acct_123.", "Transfer 100 to acct_124.", 0.05, 0.3),
        ("Transfer 100 to acct_123.", "Nothing of the kind", 0.8, 1),
        (100, 90, 0.1, 0.1),
        (1, -1, 1, 1),
        (0, 5e-324, 1, 1),
        (1e308, -1e308, 1, 1),
        (float("inf"), 1.0, 1, 1),
        (10**400, 10**400 + 1, 1, 1),
        (1, 1.0, 0, 0),
        (True, False, 1, 1),
        ({"to": "a"}, {"to": "a"}, 0, 0),
        ({"to": "a"}, {"to": "b"}, 1, 1),
        ({"choices": [{"message": {"content": "yes"}}], "id": 1}, {"content": [{"text": "yes"}], "id": 2}, 0, 0),
    ],
)
def test_score_of_answers(one: Any, other: Any, low: float, high: float) -> None:
    assert low <= round(disagreement(one, other), 9) <= high


def test_hostile_texts_take_no_longer_than_others() -> None:
    began = time.perf_counter()
    disagreement("a" * 100_000, "ab" * 50_000)
    assert time.perf_counter() - began < 5  # difflib needs hours
