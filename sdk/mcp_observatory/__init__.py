"""Call tools through an MCP observatory."""

from mcp_observatory.errors import (
    CommitRefused,
    Conflict,
    Denied,
    InvalidArguments,
    NotAuthenticated,
    NotReachable,
    ObservatoryError,
    OutcomeUnknown,
    RateLimited,
    StillWaiting,
    ToolCallError,
    Unavailable,
)
from mcp_observatory.tool_client import ToolClient
from mcp_observatory.tool_result import ToolResult

__all__ = [
    "CommitRefused",
    "Conflict",
    "Denied",
    "InvalidArguments",
    "NotAuthenticated",
    "NotReachable",
    "ObservatoryError",
    "OutcomeUnknown",
    "RateLimited",
    "StillWaiting",
    "ToolCallError",
    "ToolClient",
    "ToolResult",
    "Unavailable",
]
