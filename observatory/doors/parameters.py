"""What stands behind the question mark of an address: known names, bounded values, or a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from observatory.doors.problem import Refusal

LONGEST = 150


def refuse_unknown(given: Mapping[str, Any], known: Iterable[str]) -> None:
    """A name that nobody listens to would be a filter that the caller believes in."""
    unknown = set(given) - set(known)
    if unknown:
        raise Refusal("invalid_parameter", f"Unknown filter: {', '.join(sorted(unknown))[:100]}.")


def text(value: str) -> str:
    if "\x00" in value or len(value) > LONGEST:
        raise Refusal("invalid_parameter", f"A filter is at most {LONGEST} characters.")
    return value


def number(value: str, most: int) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 19 or int(value) > most:
        raise Refusal("invalid_parameter", f"A whole number, at most {most}.")
    return int(value)
