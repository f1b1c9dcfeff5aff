"""The words around a place, which say what stands there where its form alone does not."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BEFORE = 40
_AFTER = 16
_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Letters among digits are of a hash, not a word.
_WORD = re.compile(r"(?<!\d)[^\W\d_]++(?!\d)")


def is_labelled(text: str, start: int, end: int, labels: Iterable[str]) -> bool:
    """One of these words or phrases, in small letters, stands just before or just behind.

    Names in code are words too: `userPhone`, `national_insurance_number`.
    """
    return has_one(around(text, start, end), labels)


def around(text: str, start: int, end: int) -> str:
    """The words on both sides of a place, for `has_one`."""
    return f"{_words(text[max(0, start - _BEFORE) : start])}|{_words(text[end : end + _AFTER])}"


def has_one(words: str, labels: Iterable[str]) -> bool:
    return any(f" {label} " in words for label in labels)


def _words(text: str) -> str:
    return f" {' '.join(_WORD.findall(_JOINT.sub(' ', text))).casefold()} "
