"""Tool calls of real servers of the package mcp, by its real client, in this process."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, cast

import httpx2
import pytest
from mcp import Client
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_observatory import MCPInterceptor, current_span, instrument, instrument_server
from mcp_observatory.exporters import MemoryExporter
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    RequestParamsMeta,
    TextContent,
    Tool,
)

CANARY = "canary-7f3a"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def memory() -> MemoryExporter:
    return MemoryExporter()


@pytest.fixture
def interceptor(memory: MemoryExporter) -> MCPInterceptor:
    return instrument("shop", memory)


def high_level(interceptor: MCPInterceptor) -> MCPServer[Any]:
    server = MCPServer("shop")

    @server.tool()
    async def search(query: str) -> str:
        above = current_span()
        assert above is not None
        with interceptor.span("other", name="inside"):
            return query

    @server.tool()
    def fail(query: str) -> str:
        raise ValueError(query)

    @server.tool()
    def refuse(query: str) -> str:
        raise MCPError(-32000, query)

    return server


def low_level() -> Server[Any]:
    async def list_tools(context: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="echo", input_schema={"type": "object"})])

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        said = str((params.arguments or {}).get("text"))
        return CallToolResult(content=[TextContent(type="text", text=said)], is_error=said == "bad")

    return Server("echo", on_list_tools=list_tools, on_call_tool=call_tool)


def talk(server: Any, conversation: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Client(server) as client:
            await conversation(client)

    asyncio.run(main())


def test_every_call_of_a_tool_is_a_span(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    server = high_level(interceptor)
    instrument_server(server, interceptor)
    instrument_server(server, interceptor)

    async def conversation(client: Client) -> None:
        await client.list_tools()
        found = await client.call_tool("search", {"query": CANARY})
        assert CANARY in json.dumps(found.model_dump(mode="json"))
        assert (await client.call_tool("fail", {"query": CANARY})).is_error
        assert (await client.call_tool("search", {"other": CANARY})).is_error
        with pytest.raises(MCPError):
            await client.call_tool("refuse", {"query": CANARY})

    talk(server, conversation)
    inside, search, *failed = memory.spans
    assert (search.kind, search.service, search.title, search.error_type) == (
        "tool_call",
        "shop",
        "tools/call search",
        None,
    )
    assert (inside.parent_span_id, inside.trace_id) == (search.span_id, search.trace_id)
    assert [(span.tool_name, span.error_type) for span in failed] == [
        ("fail", "tool_error"),
        ("search", "tool_error"),
        ("refuse", "MCPError"),
    ]
    assert search.attributes["mcp.method.name"] == "tools/call"
    assert set(search.attributes) == {"mcp.method.name", "mcp.protocol.version", "jsonrpc.request.id"}
    assert CANARY not in json.dumps([asdict(span) for span in memory.spans], default=str)


def test_low_level_server_is_instrumented_too(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    server = low_level()
    instrument_server(server, interceptor)

    async def conversation(client: Client) -> None:
        await client.call_tool("echo", {"text": CANARY})
        await client.call_tool("echo", {"text": "bad"})

    talk(server, conversation)
    assert [(span.tool_name, span.error_type) for span in memory.spans] == [("echo", None), ("echo", "tool_error")]


@pytest.mark.parametrize("sent", [f"00-{TRACE}-{SPAN}-00", "nonsense"])
def test_callers_trace_is_continued(interceptor: MCPInterceptor, memory: MemoryExporter, sent: str) -> None:
    server = low_level()
    instrument_server(server, interceptor)

    async def conversation(client: Client) -> None:
        await client.call_tool("echo", {"text": "x"}, meta=cast(RequestParamsMeta, {"traceparent": sent}))

    talk(server, conversation)
    (span,) = memory.spans
    assert ((span.trace_id, span.parent_span_id) == (TRACE, SPAN)) == (sent != "nonsense")


def test_callers_trace_is_continued_from_its_http_header(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    server = low_level()
    instrument_server(server, interceptor)
    called = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "x"}}}
    headers = {"Accept": "application/json, text/event-stream", "traceparent": f"00-{TRACE}-{SPAN}-01"}

    async def main() -> None:
        app = server.streamable_http_app(stateless_http=True, json_response=True)
        async with (
            server.session_manager.run(),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
        ):
            assert (await http.post("/mcp", json=called, headers=headers)).status_code == 200

    asyncio.run(main())
    (span,) = memory.spans
    assert (span.trace_id, span.parent_span_id) == (TRACE, SPAN)


def test_decorated_tool_of_an_instrumented_server_is_one_span(
    interceptor: MCPInterceptor, memory: MemoryExporter
) -> None:
    server = MCPServer("shop")

    @server.tool()
    @interceptor.tool()
    async def search(query: str, limit: int = 3) -> str:
        return query * limit

    async def conversation(client: Client) -> None:
        (tool,) = (await client.list_tools()).tools
        assert set(tool.input_schema["properties"]) == {"query", "limit"}
        await client.call_tool("search", {"query": "x"})

    talk(server, conversation)
    assert [span.tool_name for span in memory.spans] == ["search"]
    instrument_server(server, interceptor)
    talk(server, conversation)
    assert [span.tool_name for span in memory.spans] == ["search", "search"]


def test_telemetry_that_fails_leaves_the_tool_alone(interceptor: MCPInterceptor) -> None:
    class Broken(MemoryExporter):
        def export(self, span: Any) -> None:
            raise RuntimeError("no")

    broken = instrument("shop", Broken())
    server = low_level()
    instrument_server(server, broken)

    async def conversation(client: Client) -> None:
        assert not (await client.call_tool("echo", {"text": "x"})).is_error

    talk(server, conversation)
    assert broken.errors == 1


def test_server_without_middleware_is_refused(interceptor: MCPInterceptor) -> None:
    with pytest.raises(TypeError, match=r"interceptor\.tool"):
        instrument_server(object(), interceptor)  # type: ignore[arg-type]  # the mistake under test
