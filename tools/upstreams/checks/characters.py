"""Characters that are not seen, or are taken for others. Other languages and emoji are neither.

Source: Unicode UAX #9 (bidi), UTS #39 (confusables), UTS #51 (emoji sequences).
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from telemetry.detectors.hidden import hidden_in
from telemetry.detectors.lookalikes import LOOKALIKES
from tools.upstreams.checks.finding import Finding, found, quoted
from tools.upstreams.checks.texts import Role, Text, texts_of

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_]|[ -~])|\x9b")
_TAGS = range(0xE0000, 0xE0080)
_PADDING = re.compile(r" {60,}|(?:[ \t]*\n){12,}|\t{12,}")
_WORD = re.compile(r"[^\W\d_]+")


def check(declaration: Mapping[str, Any]) -> Iterator[Finding]:
    for text in texts_of(declaration):
        if text.text.isascii() and text.text.isprintable() and " " * 60 not in text.text:
            continue
        yield from _controls(text)
        yield from _hidden(text)
        yield from _padding(text)
        yield from _lookalikes(text)


def _name(char: str) -> str:
    return unicodedata.name(char, "") if char else ""


def _controls(text: Text) -> Iterator[Finding]:
    allowed = "\n\r\t" if text.role in (Role.PROSE, Role.VALUE) else ""
    controls = [char for char in text.text if unicodedata.category(char) == "Cc" and char not in allowed]
    if controls:
        kind = "terminal escape sequences" if _ANSI.search(text.text) else "control characters"
        yield found("control_characters", text.where, f"Holds {kind}: {quoted(_around(text.text, controls[0]))}.")


def _hidden(text: Text) -> Iterator[Finding]:
    places = hidden_in(text.text)
    if not places:
        return
    first = text.text[places[0]]
    count = "a character that is" if len(places) == 1 else f"{len(places)} characters that are"
    detail = f"Holds {count} not seen, first U+{ord(first):04X} {_name(first) or 'without a name'}: "
    detail += quoted(_around(text.text, first)) + "."
    spelled = "".join(chr(ord(text.text[place]) - 0xE0000) for place in places if ord(text.text[place]) in _TAGS)
    if spelled := "".join(filter(str.isprintable, spelled)):
        detail += f" They spell {quoted(spelled)}."
    yield found("hidden_characters", text.where, detail)


def _around(text: str, char: str) -> str:
    place = text.index(char)
    return text[max(0, place - 30) : place + 40]


def _padding(text: Text) -> Iterator[Finding]:
    if (match := _PADDING.search(text.text)) and text.text[match.end() :].strip():
        rest = text.text[match.end() :].strip()
        yield found(
            "hidden_characters", text.where, f"A long run of white space pushes text out of sight: {quoted(rest)}."
        )


def _lookalikes(text: Text) -> Iterator[Finding]:
    """In names and titles: a word that mixes Latin with letters that look like Latin; in a tool's name any of them."""
    is_title = text.role is Role.PROSE and text.where.rpartition("/")[2] == "title"
    if text.role not in (Role.NAME, Role.PROPERTY) and not is_title:
        return
    for word in _WORD.findall(text.text):
        strange = [char for char in word if char in LOOKALIKES]
        if strange and (text.role is Role.NAME or any(char.isascii() for char in word)):
            told = ", ".join(f"U+{ord(char):04X} {_name(char)}" for char in dict.fromkeys(strange[:3]))
            yield found("lookalike_letters", text.where, f"{quoted(word)} is not what it looks like: {told}.")
            return
