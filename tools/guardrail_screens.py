"""Which detectors read a call, and how strict they are: a session's own guardrails, else those for all other calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from telemetry.detectors.detector import Category, Detector
from telemetry.guardrails import Guardrails, Screen

if TYPE_CHECKING:
    from telemetry.models import Session
    from tools.contract import ToolCall
    from tools.snapshot import Snapshot, ToolView

# What operators accepted may name a support address; it may not instruct a model, nor hold a secret.
_OF_DESCRIPTIONS = frozenset({Category.INJECTION, Category.SECRETS, Category.CUSTOM})


def screen_for(call: ToolCall) -> Screen | None:
    """The detectors that read this call; None where nothing is to be read."""
    assert call.snapshot
    session = call.in_session.session
    if session is not None:
        return session_screen(session, call.snapshot)
    guardrails = call.snapshot.guardrails_of_calls
    return Screen(guardrails, call.snapshot.detectors) if guardrails.is_on else None


def session_screen(session: Session, snapshot: Snapshot) -> Screen:
    """As the session was opened, and at least as strict as the installation is now."""
    kept = Guardrails.from_json(session.guardrails)
    guardrails = snapshot.guardrails_of_sessions.at_least(kept)
    return Screen(guardrails, snapshot.detectors, session.model, session.rules_hash)


def of_descriptions(screen: Screen) -> Screen:
    """The same for what tools say of themselves."""
    return replace(screen, detectors=_reading_descriptions(screen.detectors), is_for_descriptions=True)


def _reading_descriptions(detectors: Sequence[Detector]) -> tuple[Detector, ...]:
    """Not those elsewhere: a session with two hundred tools would wait for them two hundred times."""
    return tuple(each for each in detectors if each.category in _OF_DESCRIPTIONS and not each.is_remote)


def description_of(tool: ToolView) -> str:
    """Everything that a tool's listing says to a model in words."""
    return "\n".join(part for part in (tool.name, tool.title, tool.description) if part)
