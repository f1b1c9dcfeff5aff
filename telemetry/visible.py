"""Text as an operator must see it: nothing in it is invisible, reordered, cut or ambiguous.

Every hidden character becomes `⟦U+202E⟧`, a run of one `⟦U+200B×40⟧`; a literal `⟦` is itself written as an escape, so
that each shown text stands for exactly one original. Source: Unicode UAX #9, UAX #44 (Default_Ignorable_Code_Point).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from telemetry.canonical import canonical_bytes

# Up to so many spaces are seen for what they are; a longer run could push the rest out of sight.
_LONGEST_SPACE_RUN = 8
# What str.isprintable() calls printable though nothing is seen: fillers, selectors, joiners, an empty notehead.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0000-\U000e0fff]"
)
_RUN = re.compile(r"([^!-~])\1*+", re.DOTALL)
_ESCAPE = re.compile("⟦U\\+([0-9A-F]{4,6})(?:×([0-9]+))?⟧")


def visible(text: str, *, block: bool = False) -> str:
    """One line of text with every hidden character escaped; in a block, newlines stay newlines."""
    if text.isascii() and text.isprintable() and " " * (_LONGEST_SPACE_RUN + 1) not in text:
        return text

    def shown(match: re.Match[str]) -> str:
        char, run = match[1], match[0]
        if char == " ":
            is_hidden = len(run) > _LONGEST_SPACE_RUN
        elif char == "\n":
            is_hidden = not block
        else:
            is_hidden = char == "⟦" or not char.isprintable() or _BLANK.match(char) is not None
        if not is_hidden:
            return run
        times = f"×{len(run)}" if len(run) > 1 else ""
        return f"⟦U+{ord(char):04X}{times}⟧"

    return _RUN.sub(shown, text)


def original(shown: str) -> str:
    """The text that `visible` was given."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) * int(match[2] or 1), shown)


def only_seen(text: str) -> str:
    """What a person sees of a text: two that look alike but for hidden characters are the same."""
    return _ESCAPE.sub("", visible(text))


def pretty(value: Any) -> str:
    """A value as indented JSON, in full, every string made visible. `original` of it parses to the same value."""
    parts: list[str] = []
    _write(value, "\n", parts)
    return "".join(parts)


def _write(value: Any, line: str, parts: list[str]) -> None:
    if isinstance(value, dict) and value:
        opening = "{"
        for key, item in value.items():
            parts.append(f"{opening}{line}  {_string(key)}: ")
            _write(item, line + "  ", parts)
            opening = ","
        parts.append(line + "}")
    elif isinstance(value, list | tuple) and value:
        opening = "["
        for item in value:
            parts.append(f"{opening}{line}  ")
            _write(item, line + "  ", parts)
            opening = ","
        parts.append(line + "]")
    elif isinstance(value, str):
        parts.append(_string(value))
    elif isinstance(value, float) and math.isfinite(value):
        # As it will be dispatched.
        parts.append(canonical_bytes(value).decode())
    else:
        parts.append(json.dumps(value))


def _string(text: str) -> str:
    return visible(json.dumps(text, ensure_ascii=False))
