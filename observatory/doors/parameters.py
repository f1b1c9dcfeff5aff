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


def refuse_other_members(body: Mapping[str, Any], members: Iterable[str]) -> None:
    """A member that nobody reads would be a wish that the caller believes in."""
    known = list(members)
    if unknown := sorted(set(body) - set(known)):
        raise Refusal("invalid_parameter", f"Not a member: {', '.join(unknown)[:200]}. There are {', '.join(known)}.")


def member_text(body: Mapping[str, Any], name: str, most: int) -> str:
    """A text of the body; empty where it is left out or null."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most or "\x00" in value:
        raise Refusal("invalid_parameter", f"{name} is text of at most {most} characters.")
    return value
