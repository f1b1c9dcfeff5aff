"""Characters that are not seen and have no business where they stand. Other languages and emoji are fine.

Source: Unicode UAX #9 (bidi), UTS #51 (emoji sequences).
"""

import re
import unicodedata

# England, Scotland and Wales are a black flag and tags; nothing else has a use for tags.
_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a]{5}\U000e007f")
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
# Unseen although Unicode counts them as printable.
_SELECTORS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF), (0x180B, 0x180D))
_UNSEEN = _BLANK | {chr(code) for low, high in _SELECTORS for code in range(low, high + 1)}
_VISIBLE_FORMATS = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")


def hidden_in(text: str) -> list[int]:
    """The places of characters that are not seen and have no business there."""
    if text.isascii():
        return []
    flags = {place for match in _FLAG.finditer(text) for place in range(*match.span())}
    is_right_to_left = any(unicodedata.bidirectional(char) in ("R", "AL") for char in text)
    return [
        place
        for place, char in enumerate(text)
        if not char.isascii()
        and (char in _UNSEEN or not char.isprintable())
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
    return any(low <= ord(char) <= high for low, high in _SELECTORS)


def _is_symbol(char: str) -> bool:
    """What emoji are made of: symbols, their skin tones, and two marks of punctuation."""
    if not char:
        return False
    return unicodedata.category(char) in ("So", "Sm", "Sk", "Cn") or char in "‼⁉〰〽"


def _name(char: str) -> str:
    return unicodedata.name(char, "") if char else ""
