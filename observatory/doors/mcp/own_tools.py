"""The one tool that this door has of its own: where a held call or a proposal stands, for clients without tasks."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

STATUS = "observatory.status"
LONGEST_WAIT_S = 30
STATUS_TOOL: Mapping[str, Any] = {
    "name": STATUS,
    "title": "Where a held call stands",
    "description": "Tells whether people have decided a call that waits, and its result once it ran.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "pending_action_id": {"type": "string", "description": "As the held call was answered."},
            "wait_s": {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_S, "default": 0},
        },
        "required": ["pending_action_id"],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}


def needs_status_tool(entries: Iterable[Mapping[str, Any]]) -> bool:
    """Some call of this key may be held."""
    return any(entry["gate"] in ("approval", "two_phase") for entry in entries)


def status_arguments(arguments: Mapping[str, Any]) -> tuple[uuid.UUID, int] | None:
    """The action and how long to wait for it; None where they can't be read."""
    wait_s = arguments.get("wait_s", 0)
    if set(arguments) - {"pending_action_id", "wait_s"} or not isinstance(wait_s, int) or isinstance(wait_s, bool):
        return None
    try:
        action_id = uuid.UUID(str(arguments.get("pending_action_id", "")))
    except ValueError:
        return None
    return (action_id, wait_s) if 0 <= wait_s <= LONGEST_WAIT_S else None
