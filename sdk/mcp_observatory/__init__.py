"""Call tools through an MCP observatory, and report what models and tools do."""

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

__all__ = [
    "CommitRefused",
    "Conflict",
    "Denied",
    "Facts",
    "InvalidArguments",
    "MCPInterceptor",
    "NotAuthenticated",
    "NotReachable",
    "ObservatoryError",
    "OutcomeUnknown",
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
