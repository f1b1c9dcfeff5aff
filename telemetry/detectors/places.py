"""Where in a text a place of its reading is."""

from __future__ import annotations

import unicodedata

from telemetry.detectors.lookalikes import LOOKALIKES

_UNSEEN = ("Cf", "Mn", "Co", "Cn")
_ALIKE = str.maketrans({ord(char): alike.lower() for char, alike in LOOKALIKES.items()})


class Places:
    """Positions in a text for positions in what `as_read` made of it; the whole text where these can't be told."""

    def __init__(self, text: str, read: str) -> None:
        self._length = len(text)
        self._places = _places(text, read)

    def of(self, start: int, end: int) -> tuple[int, int]:
        if self._places is None or not 0 <= start < end <= len(self._places):
            return 0, self._length
        return self._places[start], self._places[end - 1] + 1


def _places(text: str, read: str) -> list[int] | None:
    """For each character of the reading the place of the one that it came from."""
    made: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        for part in char if char.isascii() else unicodedata.normalize("NFKC", char):
            if not part.isascii() and unicodedata.category(part) in _UNSEEN:
                continue
            if part.isspace():
                if not made or made[-1] != " ":
                    made.append(" ")
                    places.append(place)
                continue
            for small in part.lower():
                made.append(small)
                places.append(place)
    # Letters that compose across characters, or change with their neighbours, are read otherwise than one by one.
    is_same = "".join(made).translate(_ALIKE) == read.translate(_ALIKE)
    return places if is_same else None
