"""Call tools through an MCP observatory, and report what models and tools do."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from mcp_observatory.facts import Facts
from mcp_observatory.interceptor import MCPInterceptor, instrument
from mcp_observatory.mcp_servers import instrument_server
from mcp_observatory.tool_client import ToolClient
from mcp_observatory.tool_result import ToolResult
from mcp_observatory.trace_context import TraceContext, continue_trace, current_span, current_traceparent
from mcp_observatory.wrapper import Shadow, Wrapper, wrap

if TYPE_CHECKING:
    from mcp_observatory.harness import MCPClient, MCPHarness, PolicyConfig

__all__ = [
    "CommitRefused",
    "Conflict",
    "Denied",
    "Facts",
    "InvalidArguments",
    "MCPClient",
    "MCPHarness",
    "MCPInterceptor",
    "NotAuthenticated",
    "NotReachable",
    "ObservatoryError",
    "OutcomeUnknown",
    "PolicyConfig",
    "RateLimited",
    "Shadow",
    "StillWaiting",
    "ToolCallError",
    "ToolClient",
    "ToolResult",
    "TraceContext",
    "Unavailable",
    "Wrapper",
    "continue_trace",
    "current_span",
    "current_traceparent",
    "instrument",
    "instrument_server",
    "wrap",
]

# Read when they are asked for: programs that only report or call pay nothing for them.
_OF_THE_HARNESS = frozenset({"MCPClient", "MCPHarness", "PolicyConfig"})


def __getattr__(name: str) -> Any:
    if name in _OF_THE_HARNESS:
        return getattr(import_module("mcp_observatory.harness"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
