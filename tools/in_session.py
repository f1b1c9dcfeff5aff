"""A call's place in a session: its step is begun by the session guard, and ended with the record of the call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from telemetry.models import Session
from telemetry.models.session import SESSION_ID_PATTERN
from telemetry.sessions import Said, begin_step, find
from tools.contract import ToolCall
from tools.session_policy import SessionPolicy, channel_of

if TYPE_CHECKING:
    from tools.snapshot import ToolView

_NAME = re.compile(SESSION_ID_PATTERN)
UNTRUSTED_TEXT, PRIVATE_DATA = "untrusted_text", "private_data"
# Stops before the session guard that are steps of the session all the same: its story would lack what was tried.
TOLD_AS_STEPS = frozenset({"unknown_tool", "tool_quarantined", "frozen"})


def is_session_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def session_of(call: ToolCall) -> Session | None:
    """The caller's own session that the call names, found once; None where there is none."""
    place = call.in_session
    if place.session is None and call.key is not None and call.session_id and is_session_name(call.session_id):
        place.session = find(call.key.agent_id, call.session_id)
    return place.session


def policy_of(session: Session) -> SessionPolicy:
    return SessionPolicy.from_json(session.policy)


def begin(call: ToolCall, session: Session) -> bool:
    """The call is a step of its session; False where the session takes no more."""
    place = call.in_session
    if place.begun is None:
        place.begun = begin_step(session, place.said or _said_by(call), call.received_at)
    return place.begun is not None


def _said_by(call: ToolCall) -> Said:
    """A call that only names its session is its model's."""
    return Said("assistant", channel_of("assistant", has_tool=True), "", call.tool_name, call.arguments)


def begin_late(call: ToolCall, code: str) -> None:
    """A call that was stopped before its session was asked is a step too, where its story should tell it."""
    if code in TOLD_AS_STEPS and call.in_session.begun is None:
        session = session_of(call)
        if session is not None and session.is_open and not session.reported:
            begin(call, session)


def labels_of(tool: ToolView) -> frozenset[str]:
    """What has come into a session once this tool has answered; what nobody declared counts as yes."""
    came_in = {UNTRUSTED_TEXT: tool.brings_untrusted_text, PRIVATE_DATA: tool.brings_private_data}
    return frozenset(label for label, declared in came_in.items() if declared != "no")
