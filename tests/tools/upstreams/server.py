"""An MCP server for tests, over any transport: `python server.py stdio|http|json|websocket|sse PORT FOLDER`.

FOLDER gets a file `called` with a line for each call that reached a tool, and `pid`. Tests also run it in a thread.
"""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import mcp_types as types
import uvicorn
from mcp.server import Server
from mcp.server.sse import SseServerTransport
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.shared.subscriptions import ToolsListChanged
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

OPEN = {"type": "object"}
TOOLS = ("echo", "slow", "steps", "fail", "change", "where", "near")
# An argument that servers of the newer era want in a header too.
NEAR = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}


class Tested:
    """Its tools, and `called` in the folder: what reached one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bus = InMemorySubscriptionBus()
        self.server = Server(
            "tested",
            version="7",
            on_list_tools=self._list,
            on_call_tool=self._call,
            on_subscriptions_listen=ListenHandler(self._bus),
            get_tool_input_schema=self._schema,
        )

    def _note(self, line: str) -> None:
        with (self._folder / "called").open("a") as file:
            file.write(line + "\n")

    async def _list(self, context, params):
        tools = [types.Tool(name=n, description=f"Does {n}.", input_schema=self._schema(n)) for n in TOOLS]
        return types.ListToolsResult(tools=tools)

    @staticmethod
    def _schema(name):
        return NEAR if name == "near" else OPEN

    async def _call(self, context, params):
        self._note(params.name)
        said = await getattr(self, f"_{params.name}")(context, **(params.arguments or {}))
        return types.CallToolResult(content=[types.TextContent(text=params.name)], structured_content=said)

    async def _echo(self, context, **arguments):
        capabilities = context.session.client_capabilities
        return {
            "arguments": arguments,
            "meta": dict(context.meta or {}),
            "capabilities": capabilities.model_dump(exclude_none=True) if capabilities else {},
        }

    async def _slow(self, context, seconds):
        try:
            await anyio.sleep(seconds)
        except anyio.get_cancelled_exc_class():
            self._note("cancelled")
            raise
        self._note("finished")

    async def _steps(self, context, steps):
        for step in range(steps):
            await context.session.report_progress(step + 1, steps, f"step {step + 1}")

    async def _fail(self, context, code, message):
        raise MCPError(code, message)

    async def _change(self, context):
        await self._bus.publish(ToolsListChanged())
        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            await context.session.send_tool_list_changed()

    async def _near(self, context, region):
        return {"region": region}

    async def _where(self, context):
        return {"folder": os.getcwd(), "pid": os.getpid()}


async def stdio(folder: Path) -> None:
    from mcp.server.stdio import stdio_server

    server = Tested(folder).server
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


@asynccontextmanager
async def bridged(socket):
    """The two streams of a server over one WebSocket."""
    import websockets

    to_server, incoming = anyio.create_memory_object_stream(0)
    outgoing, to_client = anyio.create_memory_object_stream(0)

    async def read():
        async with to_server:
            try:
                async for raw in socket:
                    message = types.jsonrpc_message_adapter.validate_json(raw, by_name=False)
                    await to_server.send(SessionMessage(message))
            except websockets.ConnectionClosed:
                pass

    async def write():
        async with to_client:
            try:
                async for item in to_client:
                    await socket.send(item.message.model_dump_json(by_alias=True, exclude_unset=True))
            except websockets.ConnectionClosed:
                pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        tasks.start_soon(write)
        yield incoming, outgoing
        tasks.cancel_scope.cancel()


async def websocket(port: int, folder: Path, is_over) -> None:
    import websockets

    server = Tested(folder).server

    async def serve(socket):
        async with bridged(socket) as (read, write):
            await server.run(read, write, server.create_initialization_options())

    async with websockets.serve(serve, "127.0.0.1", port, subprotocols=["mcp"]):
        while not is_over():
            await anyio.sleep(0.05)


def http(kind: str, port: int, folder: Path) -> uvicorn.Server:
    """Ready to run."""
    server = Tested(folder).server
    application = sse(server) if kind == "sse" else server.streamable_http_app(json_response=kind == "json")
    config = uvicorn.Config(
        application, port=port, log_level="critical", ws="none", timeout_graceful_shutdown=0, log_config=None
    )
    return uvicorn.Server(config)


def sse(server: Server) -> Starlette:
    transport = SseServerTransport("/messages/")

    async def stream(request):
        async with transport.connect_sse(request.scope, request.receive, request._send) as (read, write):
            await server.run(read, write, server.create_initialization_options())
        return Response()

    return Starlette(routes=[Route("/mcp", endpoint=stream), Mount("/messages/", app=transport.handle_post_message)])


if __name__ == "__main__":
    kind, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    (folder / "pid").write_text(str(os.getpid()))
    if kind == "stdio":
        anyio.run(stdio, folder)
    elif kind == "websocket":
        anyio.run(websocket, port, folder, bool)
    else:
        http(kind, port, folder).run()
