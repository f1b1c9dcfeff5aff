"""An MCP server for tests, over any transport: `python server.py stdio|http|json|websocket|sse PORT FOLDER`.

FOLDER gets a file `called` with a line for each call that reached a tool, and `pid`.
"""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import mcp_types as types
from mcp.server import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.shared.subscriptions import ToolsListChanged
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

FOLDER = Path(sys.argv[3])
BUS = InMemorySubscriptionBus()
OPEN = {"type": "object"}
TOOLS = ("echo", "slow", "steps", "fail", "die", "change", "environment", "where")


def note(line: str) -> None:
    with (FOLDER / "called").open("a") as file:
        file.write(line + "\n")


async def list_tools(context, params):
    tools = [types.Tool(name=name, description=f"Does {name}.", input_schema=OPEN) for name in TOOLS]
    return types.ListToolsResult(tools=tools)


async def call_tool(context, params):
    arguments = params.arguments or {}
    note(params.name)
    said: object = None
    if params.name == "echo":
        capabilities = context.session.client_capabilities
        said = {
            "arguments": arguments,
            "meta": dict(context.meta or {}),
            "capabilities": capabilities.model_dump(exclude_none=True) if capabilities else {},
            "headers": dict(context.request.headers) if context.request is not None else {},
        }
    elif params.name == "slow":
        try:
            await anyio.sleep(arguments["seconds"])
        except anyio.get_cancelled_exc_class():
            note("cancelled")
            raise
        note("finished")
    elif params.name == "steps":
        for step in range(arguments["steps"]):
            await context.session.report_progress(step + 1, arguments["steps"], f"step {step + 1}")
    elif params.name == "fail":
        raise MCPError(arguments["code"], arguments.get("message", "no"))
    elif params.name == "die":
        os._exit(3)
    elif params.name == "change":
        await BUS.publish(ToolsListChanged())
        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            await context.session.send_tool_list_changed()
    elif params.name == "environment":
        said = dict(os.environ)
    elif params.name == "where":
        said = {"folder": os.getcwd(), "pid": os.getpid()}
    return types.CallToolResult(content=[types.TextContent(text=params.name)], structured_content=said)


def made() -> Server:
    return Server(
        "tested",
        version="7",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_subscriptions_listen=ListenHandler(BUS),
    )


async def stdio() -> None:
    from mcp.server.stdio import stdio_server

    server = made()
    sys.stderr.write(f"started {os.environ.get('SECRET', '')}\n")
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
            async for item in to_client:
                await socket.send(item.message.model_dump_json(by_alias=True, exclude_unset=True))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        tasks.start_soon(write)
        yield incoming, outgoing
        tasks.cancel_scope.cancel()


async def websocket(port: int) -> None:
    import websockets

    async def serve(socket):
        server = made()
        async with bridged(socket) as (read, write):
            await server.run(read, write, server.create_initialization_options())

    async with websockets.serve(serve, "127.0.0.1", port, subprotocols=["mcp"]):
        await anyio.sleep_forever()


def http(port: int, *, json_response: bool) -> None:
    import uvicorn

    uvicorn.run(made().streamable_http_app(json_response=json_response), port=port, log_level="warning")


def sse(port: int) -> None:
    import uvicorn
    from mcp.server.sse import SseServerTransport
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Mount, Route

    transport = SseServerTransport("/messages/")
    server = made()

    async def stream(request):
        async with transport.connect_sse(request.scope, request.receive, request._send) as (read, write):
            await server.run(read, write, server.create_initialization_options())
        return Response()

    routes = [Route("/mcp", endpoint=stream), Mount("/messages/", app=transport.handle_post_message)]
    uvicorn.run(Starlette(routes=routes), port=port, log_level="warning")


if __name__ == "__main__":
    (FOLDER / "pid").write_text(str(os.getpid()))
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "stdio":
        anyio.run(stdio)
    elif kind == "websocket":
        anyio.run(websocket, port)
    elif kind == "sse":
        sse(port)
    else:
        http(port, json_response=kind == "json")
