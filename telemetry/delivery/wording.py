"""A message in people's words, for mail and chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telemetry.alerts.messages import LABEL_WORDS, amount
from telemetry.delivery.letter import TEST, Kind, Letter

_VERBS = {Kind.FIRING: "Fires", Kind.REPEAT: "Still fires", Kind.RESOLVED: "Resolved", TEST: "Test"}


def headline(letter: Letter) -> str:
    """One line: what became of which alert."""
    message = letter.message
    labels = ", ".join(f"{name} {value}" for name, value in named_labels(message))
    return f"{_VERBS[letter.kind]}: {message['rule']}{f' ({labels})' if labels else ''}"


def named_labels(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(LABEL_WORDS.get(name, name), value) for name, value in sorted(message["labels"].items()) if value]


def figure(message: Mapping[str, Any]) -> str:
    """The figure beside its bound: 20 % (above 10 %), of 10 samples."""
    unit = message["unit"]
    bound = f"{message['comparison']} {amount(message['threshold'], unit)}"
    return f"{amount(message['value'], unit)} (the bound: {bound})"


def facts(letter: Letter) -> list[tuple[str, str]]:
    """What there is to know, by name, without what is empty."""
    message = letter.message
    found = [
        (message["metric_title"], figure(message)),
        *((word.capitalize(), value) for word, value in named_labels(message)),
        ("Severity", message["severity"]),
        ("Out of bounds since", _time(message["started_at"])),
        ("Resolved" if letter.is_over else "", _time(message["since"])),
        ("Figures up to", _time(message["as_of"])),
        ("Why", message["why"]),
    ]
    return [(name, value) for name, value in found if name and value]


def _time(iso: str | None) -> str:
    """A moment to the second, in UTC as everything here."""
    return f"{iso[:19].replace('T', ' ')} UTC" if iso else ""
