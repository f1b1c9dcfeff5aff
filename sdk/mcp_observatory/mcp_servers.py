"""Every tool call of an MCP server becomes a span: its name, its time, whether it failed. No argument, no result."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from mcp_observatory.interceptor import MCPInterceptor
from mcp_observatory.trace_context import TraceContext, parse_traceparent

Next = Callable[[Any], Awaitable[Any]]
# What the package mcp calls for every message that a server gets.
Middleware = Callable[[Any, Next], Awaitable[Any]]


class MiddlewareServer(Protocol):
    """MCPServer and the low-level Server of the package mcp, from its version 2 on."""

    @property
    def middleware(self) -> list[Any]: ...


class ToolCallsReported:
    """A middleware of the package mcp: outermost, so that a call which another one refuses is seen too."""

    def __init__(self, interceptor: MCPInterceptor) -> None:
        self.interceptor = interceptor

    async def __call__(self, context: Any, call_next: Next) -> Any:
        if context.method != "tools/call":
            return await call_next(context)
        name = (context.params or {}).get("name")
        with self.interceptor.span(
            "tool_call", tool_name=name if isinstance(name, str) else None, parent=_sender(context)
        ) as span:
            self.interceptor.quietly(_describe, span, context)
            result = await call_next(context)
            if _is_error(result):
                span.error_type = "tool_error"
            return result


def instrument_server(server: MiddlewareServer, interceptor: MCPInterceptor) -> None:
    """Every tool call of the server is reported by the interceptor, once however often this is called.

    Raises TypeError for a server that has no middleware, as those of mcp 1: decorate its tools with `interceptor.tool`.
    """
    middleware = getattr(server, "middleware", None)
    if not isinstance(middleware, list):
        raise TypeError("the server has no middleware: mcp 2 or later has; else decorate each tool by interceptor.tool")
    if not any(isinstance(one, ToolCallsReported) and one.interceptor is interceptor for one in middleware):
        middleware.insert(0, ToolCallsReported(interceptor))


def _sender(context: Any) -> TraceContext | None:
    """The caller's span: of the message's `_meta`, else of the HTTP request that brought it."""
    for carrier in (getattr(context, "meta", None), getattr(getattr(context, "request", None), "headers", None)):
        header = carrier.get("traceparent") if isinstance(carrier, Mapping) else None
        sender = parse_traceparent(header) if isinstance(header, str) else None
        if sender is not None:
            return sender
    return None


def _describe(span: TraceContext, context: Any) -> None:
    span.attributes["mcp.method.name"] = "tools/call"
    span.attributes["mcp.protocol.version"] = str(context.protocol_version)
    span.attributes["jsonrpc.request.id"] = str(context.request_id)


def _is_error(result: Any) -> bool:
    """The tool said so: in the package's class, or in the message that goes over the wire."""
    said = result.get("isError") if isinstance(result, Mapping) else getattr(result, "is_error", None)
    return said is True
