"""How far two answers are apart, 0 (the same) to 1."""

import contextlib
import math
from difflib import SequenceMatcher
from typing import Any

from mcp_observatory.usage import answer_text

# By letters the comparison takes a time that grows with the square; longer texts are compared by words, up to so many.
LONGEST_BY_LETTERS = 1_000
MOST_WORDS = 2_000


def disagreement(one: Any, other: Any) -> float:
    """Numbers by their difference against the larger, texts by what they do not share, everything else 0 or 1.

    Answers of a provider are compared by their text. Symmetric.
    """
    if _is_number(one) and _is_number(other):
        with contextlib.suppress(OverflowError):
            return _between_numbers(float(one), float(other))
    text, other_text = answer_text(one), answer_text(other)
    if text is not None and other_text is not None:
        return _between_texts(text, other_text)
    return 0.0 if one == other else 1.0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _between_numbers(one: float, other: float) -> float:
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    if not (math.isfinite(one) and math.isfinite(other)):
        return 1.0
    larger = max(abs(one), abs(other))
    # Divided first: the difference of two large ones may have no room.
    return min(1.0, abs(one / larger - other / larger))


def _between_texts(one: str, other: str) -> float:
    if one == other:
        return 0.0
    # In one order, for the ratio depends on it.
    one, other = sorted((one, other))
    if max(len(one), len(other)) <= LONGEST_BY_LETTERS:
        return 1.0 - SequenceMatcher(None, one, other, autojunk=False).ratio()
    words, other_words = one.split()[:MOST_WORDS], other.split()[:MOST_WORDS]
    return 1.0 - SequenceMatcher(None, words, other_words, autojunk=False).ratio()
