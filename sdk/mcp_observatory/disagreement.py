"""How far two answers are apart, 0 (the same) to 1."""

import contextlib
import math
from collections import Counter
from typing import Any

from mcp_observatory.usage import answer_text

# Of longer texts the beginnings are compared, in some tens of milliseconds.
LONGEST_COMPARED = 50_000


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
    """1 - the Dice coefficient of the texts' trigrams: of both together, how many the other has not.

    Not difflib's ratio, whose time grows with the third power: 1,000 letters each can take 20 s.
    """
    if one == other:
        return 0.0
    trigrams, others = _trigrams(one), _trigrams(other)
    return 1.0 - 2 * (trigrams & others).total() / (trigrams.total() + others.total())


def _trigrams(text: str) -> Counter[str]:
    padded = f"  {text[:LONGEST_COMPARED]}  "
    return Counter(padded[at : at + 3] for at in range(len(padded) - 2))
