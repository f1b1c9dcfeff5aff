"""Orders to a model inside what it only reads: known wordings, marks of prompts, and text that people don't see.

Patterns see what is worded as they know it. An order in ordinary words that names nothing unusual passes: this is a
net with known holes, not a wall (docs/reference/detectors.md says how large they are).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from telemetry.detectors.detector import Category, Finding, LocalDetector
from telemetry.detectors.hidden import hidden_in
from telemetry.detectors.injection_wordings import WORDINGS, lines_in, marks_in
from telemetry.detectors.lookalikes import as_read
from telemetry.detectors.places import Places


class Injection(LocalDetector):
    """Finds what would instruct a model that reads the text."""

    name = "injection"
    version = "1"
    category = Category.INJECTION

    def _find(self, text: str) -> Iterator[Finding]:
        return _apart([*_said_in(text), *_spaced_out(text), *_hidden(text), *_encoded(text)])


def _apart(findings: list[Finding]) -> Iterator[Finding]:
    """Of findings of one kind that overlap the surest, then the first."""
    kept: Finding | None = None
    for finding in sorted(findings, key=lambda one: (one.kind, one.start, -one.score)):
        if kept is not None and finding.kind == kept.kind and finding.start < kept.end:
            kept = finding if finding.score > kept.score else kept
            continue
        if kept is not None:
            yield kept
        kept = finding
    if kept is not None:
        yield kept


def _said_in(text: str) -> Iterator[Finding]:
    """What the text says as a model reads it."""
    read = as_read(text)
    found = [(one.kind, one.score, one.start, one.end) for one in WORDINGS.find(read)]
    found += marks_in(read)
    if found:
        places = Places(text, read)
        yield from (Finding(kind, *places.of(start, end), score) for kind, score, start, end in found)
    yield from (Finding(kind, start, end, score) for kind, score, start, end in lines_in(text, read))


def _worst(text: str) -> float:
    return max((finding.score for finding in _said_in(text)), default=0.0)


_SPACED = re.compile(r"(?<!\S)\w(?: {1,4}\w){7,}(?!\S)")
_WIDE_GAP = re.compile(r" {2,}")


def _spaced_out(text: str) -> Iterator[Finding]:
    """L e t t e r s   a p a r t, which a model reads as words."""
    for match in _SPACED.finditer(text):
        words = " ".join(word.replace(" ", "") for word in _WIDE_GAP.split(match[0]))
        if score := _worst(words):
            yield Finding("hidden-text", *match.span(), score)


# England's, Scotland's and Wales's are written in tags.
_BLACK_FLAG = "\U0001f3f4"
_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
_BIDI = re.compile("[\u202d\u202e]([^\u202c\u202d\u202e\n]{16,400})")
_FEWEST_LETTERS = 16
_LONG_RUN = 8
# A soft hyphen and a word joiner stand in honest words.
_IN_HONEST_WORDS = frozenset("\u00ad\u2060")
_MANY_IN_WORDS = 6


def _hidden(text: str) -> Iterator[Finding]:
    """Text in characters that are not seen, or seen in another order than read."""
    if text.isascii():
        return
    for match in _TAGS.finditer(text):
        if text[match.start() - 1 : match.start()] != _BLACK_FLAG:
            yield Finding("hidden-text", *match.span(), 0.9)
    for match in _BIDI.finditer(text):
        if len(re.findall("[A-Za-z]", match[1])) >= _FEWEST_LETTERS:
            yield Finding("hidden-text", *match.span(), max(0.75, _worst(match[1][::-1])))
    yield from _unseen(text)


def _unseen(text: str) -> Iterator[Finding]:
    """Runs of unseen characters, which spell something in their own code, and many of them inside words."""
    places = [place for place in hidden_in(text) if text[place] not in _IN_HONEST_WORDS]
    run = 0
    for number, place in enumerate(places):
        run = run + 1 if number and places[number - 1] == place - 1 else 1
        is_last = number + 1 == len(places) or places[number + 1] != place + 1
        if is_last and run >= _LONG_RUN:
            yield Finding("hidden-text", place - run + 1, place + 1, 0.8)
    inside = [place for place in places if _is_inside_a_word(text, place)]
    if len(inside) >= _MANY_IN_WORDS:
        yield Finding("hidden-text", inside[0], inside[-1] + 1, 0.7)


def _is_inside_a_word(text: str, place: int) -> bool:
    before, after = text[max(0, place - 1) : place], text[place + 1 : place + 2]
    return before.isascii() and before.isalpha() and after.isascii() and after.isalpha()


_BLOB = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{24,8192}={0,2}(?![\w+/=-])")
_MOST_BLOBS = 40


def _encoded(text: str) -> Iterator[Finding]:
    """Base64 that is an order once decoded: decoded once, the first forty of a text."""
    for number, match in enumerate(_BLOB.finditer(text)):
        if number == _MOST_BLOBS:
            return
        if score := _worst(_decoded(match[0])):
            yield Finding("encoded", *match.span(), score)


def _decoded(blob: str) -> str:
    """The text, if it is one."""
    body = blob.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(body + "=" * (-len(body) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded if " " in decoded and decoded.replace("\n", " ").isprintable() else ""
