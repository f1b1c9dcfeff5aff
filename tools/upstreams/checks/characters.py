"""Characters that are not seen, or are taken for others. Other languages and emoji are neither.

Source: Unicode UAX #9 (bidi), UTS #39 (confusables), UTS #51 (emoji sequences).
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from tools.upstreams.checks.finding import Finding, found, quoted
from tools.upstreams.checks.lookalikes import LOOKALIKES
from tools.upstreams.checks.texts import Role, Text, texts_of

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_]|[ -~])|\x9b")
_TAGS = range(0xE0000, 0xE0080)
# England, Scotland and Wales are a black flag and tags; nothing else has a use for tags.
_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a]{5}\U000e007f")
_PADDING = re.compile(r" {60,}|(?:[ \t]*\n){12,}|\t{12,}")
_ZWNJ, _ZWJ, _VS15, _VS16 = "\u200c", "\u200d", "\ufe0e", "\ufe0f"
_MARKS = "\u200e\u200f\u061c"
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800\U0001d159")
# Ranges that newer Unicode versions fill with emoji and with ideographs: unassigned here is not yet suspicious.
_GROWING = ((0x1F000, 0x1FAFF), (0x20000, 0x3FFFD))
# Scripts in which (zero-width) joiners are spelling.
_JOINING = re.compile(
    "(?:ARABIC|SYRIAC|NKO|MANDAIC|MONGOLIAN|DEVANAGARI|BENGALI|GURMUKHI|GUJARATI|ORIYA|TAMIL|TELUGU|KANNADA|MALAYALAM|"
    r"SINHALA|THAI|LAO|TIBETAN|MYANMAR|KHMER|JAVANESE|BALINESE|SUNDANESE|HANIFI|THAANA)\b"
)
_VISIBLE_FORMATS = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
_WORD = re.compile(r"[^\W\d_]+")


def check(declaration: Mapping[str, Any]) -> Iterator[Finding]:
    for text in texts_of(declaration):
        if text.text.isascii() and text.text.isprintable() and " " * 60 not in text.text:
            continue
        yield from _controls(text)
        yield from _hidden(text)
        yield from _padding(text)
        yield from _lookalikes(text)


def hidden_in(text: str) -> list[int]:
    """The places of characters that are not seen and have no business there."""
    flags = {place for match in _FLAG.finditer(text) for place in range(*match.span())}
    is_right_to_left = any(unicodedata.bidirectional(char) in ("R", "AL") for char in text)
    return [
        place
        for place, char in enumerate(text)
        if not char.isascii()
        and place not in flags
        and not (is_right_to_left and char in _MARKS)
        and _is_hidden(text, place)
    ]


def _is_hidden(text: str, place: int) -> bool:
    char = text[place]
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if char in (_ZWNJ, _ZWJ) or _is_selector(char):
        return not _belongs(char, before, after)
    if char == "\u2800":
        return not any("\u2801" <= other <= "\u28ff" for other in (before, after))
    category = unicodedata.category(char)
    if category == "Cn":
        return not any(low <= ord(char) <= high for low, high in _GROWING)
    if category == "Cf":
        return _VISIBLE_FORMATS.match(char) is None
    return category in ("Co", "Cs", "Zl", "Zp") or char in _BLANK


def _belongs(char: str, before: str, after: str) -> bool:
    """A joiner or a selector after what it is for. Two selectors in a row never are."""
    if char in (_VS15, _VS16):
        return before in "0123456789#*" if before.isascii() and before else _is_symbol(before)
    if _is_selector(char):
        return "CJK" in _name(before) or before in "≨≩⊓⊔∩∪0⊕⊗" or (char < "\u2000" and "MONGOLIAN" in _name(before))
    if _JOINING.match(_name(before)):
        return True
    return char == _ZWJ and _is_symbol(after) and (before == _VS16 or _is_symbol(before))


def _is_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef" or "\u180b" <= char <= "\u180d"


def _is_symbol(char: str) -> bool:
    """What emoji are made of: symbols, their skin tones, and two marks of punctuation."""
    if not char:
        return False
    return unicodedata.category(char) in ("So", "Sm", "Sk", "Cn") or char in "‼⁉〰〽"


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
