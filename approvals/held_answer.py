"""What an agent reads when its call waits for a person."""

from collections.abc import Mapping
from typing import Any

from tools.snapshot import ToolView


def null_fields(tool: ToolView) -> dict[str, Any]:
    """The tool's declared output fields, each null: nothing has happened yet."""
    return dict.fromkeys((tool.output_schema or {}).get("properties", {}))


def held_body(tool: ToolView, action_id: str, expires_at: str, quorum: int) -> Mapping[str, Any]:
    return {
        **null_fields(tool),
        "requires_confirmation": True,
        "pending_action_id": action_id,
        "status": "pending_approval",
        "expires_at": expires_at,
        "approvals_needed": quorum,
    }
