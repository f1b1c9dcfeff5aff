"""What the client says that it can do. In the stateless era each request says so itself; earlier ones are not asked."""

from collections.abc import Mapping
from typing import Any

from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY

from observatory.doors.mcp.messages import Message, RpcError

TASKS = "io.modelcontextprotocol/tasks"


def declares_tasks(message: Message) -> bool:
    return message.stateless and TASKS in _object(message.capabilities, "extensions")


def require_tasks(message: Message) -> None:
    """Raises RpcError for a client that did not declare the extension on this very request."""
    if not declares_tasks(message):
        wanted: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        raise RpcError(MISSING_REQUIRED_CLIENT_CAPABILITY, "Missing required client capability", wanted)


def shows_forms(message: Message) -> bool:
    """The client puts a form before its user; a declaration that names no mode means forms."""
    if not message.stateless or not isinstance(message.capabilities.get("elicitation"), Mapping):
        return False
    modes = message.capabilities["elicitation"]
    return "form" in modes or "url" not in modes


def _object(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, Mapping) else {}
