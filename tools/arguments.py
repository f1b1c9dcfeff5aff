"""What of a request's body are a tool's arguments."""

from collections.abc import Mapping
from typing import Any

from tools.snapshot import ToolView


def split_confirm(tool: ToolView | None, body: Mapping[str, Any]) -> tuple[dict[str, Any], bool | None]:
    """The arguments, and `confirm` where it is the door's flag: taken out before any bytes are made of them."""
    arguments = dict(body)
    if tool is not None and tool.accepts_confirm and isinstance(arguments.get("confirm"), bool):
        return arguments, bool(arguments.pop("confirm"))
    return arguments, None
