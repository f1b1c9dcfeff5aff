"""Two declarations of one tool side by side, place by place, for an operator who must see every change."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any

from telemetry.visible import pretty, visible
from tools.upstreams.checks.texts import pointer
from tools.upstreams.declarations import FIELDS

# Beyond this the words are not compared one by one: the texts stand whole, and both are marked whole.
MOST_WORDS = 4_000
_WORDS = re.compile(r"\s+|⟦[^⟧]*⟧|\w+|[^\w\s]")


class Mark(StrEnum):
    SAME = "same"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Piece:
    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """`before` and `after` are whole texts with what is hidden escaped, None where there is nothing at that place.

    The pieces of each side, joined, are that side's text.
    """

    where: str
    before: str | None
    after: str | None
    before_pieces: tuple[Piece, ...]
    after_pieces: tuple[Piece, ...]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Every place where they differ, in the order of `after`, then what is gone. Equal declarations have none."""
    old, new = dict(_places(before)), dict(_places(after))
    return [
        _difference(where, old.get(where), new.get(where))
        for where in dict.fromkeys([*new, *old])
        if old.get(where) != new.get(where)
    ]


def _places(declaration: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(place, shown value) of everything that has no parts."""
    waiting = [(field, declaration.get(field)) for field in reversed(FIELDS)]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            waiting.extend(reversed([(pointer(where, key), item) for key, item in value.items()]))
        elif isinstance(value, list) and value:
            waiting.extend(reversed([(pointer(where, number), item) for number, item in enumerate(value)]))
        elif value is not None or where not in FIELDS:
            yield where, _shown(where, value)


def _shown(where: str, value: Any) -> str:
    """Prose as people read it; other values as JSON, so that "5" and 5 are told apart."""
    is_prose = where.rpartition("/")[2] in ("name", "title", "description")
    return visible(value, block=True) if isinstance(value, str) and is_prose else pretty(value)


def _difference(where: str, before: str | None, after: str | None) -> Difference:
    old, new = _WORDS.findall(before or ""), _WORDS.findall(after or "")
    if before is None or after is None or max(len(old), len(new)) > MOST_WORDS:
        whole = ((before, Mark.GONE), (after, Mark.NEW))
        gone, added = (tuple([Piece(mark, text)] if text else []) for text, mark in whole)
        return Difference(visible(where), before, after, gone, added)
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    for tag, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        for side, text, mark in ((0, old[a:b], Mark.GONE), (1, new[c:d], Mark.NEW)):
            if text:
                pieces[side].append(Piece(Mark.SAME if tag == "equal" else mark, "".join(text)))
    return Difference(visible(where), before, after, tuple(pieces[0]), tuple(pieces[1]))
