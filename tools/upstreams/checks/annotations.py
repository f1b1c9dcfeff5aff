"""Hints that do not fit what the tool is called, or one another. They only propose settings: an operator decides."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.upstreams.checks.finding import Finding, found, quoted

_CHANGES = (
    "delete|remove|destroy|drop|erase|purge|wipe|truncate|send|post|publish|write|create|update|insert|upsert|edit|"
    "modify|set|add|append|move|rename|upload|push|merge|deploy|execute|exec|pay|transfer|buy|order|book|cancel|"
    "approve|reject|close|archive|invite|revoke|grant|reset|kill|stop|restart|install|uninstall|commit|submit"
)
_FIRST_WORD = re.compile(rf"^(?:{_CHANGES})(?:e?s)?\b")


def check(declaration: Mapping[str, Any]) -> Iterator[Finding]:
    annotations = hints_of(declaration)
    if annotations.get("readOnlyHint") is not True:
        return
    if annotations.get("destructiveHint") is True:
        detail = "Said to change nothing and to destroy something: both can't be."
        yield found("hints_contradict", "annotations", detail, blocking=False)
    if word := changing_word(declaration):
        detail = f"Said to change nothing, yet it speaks of {quoted(word)}."
        yield found("hints_contradict", "annotations/readOnlyHint", detail, blocking=False)


def hints_of(declaration: Mapping[str, Any]) -> Mapping[str, Any]:
    annotations = declaration.get("annotations")
    return annotations if isinstance(annotations, Mapping) else {}


def changing_word(declaration: Mapping[str, Any]) -> str:
    """The verb by which the name or the description begins that changes something, or nothing."""
    name, description = (str(declaration.get(key) or "") for key in ("name", "description"))
    words = re.sub(r"[^a-z]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()).split()
    verb = next((word for word in words[:2] if re.fullmatch(_CHANGES, word)), "")
    if verb:
        return verb
    match = _FIRST_WORD.match(description.lower().lstrip())
    return match[0] if match else ""
