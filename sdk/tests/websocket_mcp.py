"""A real MCP server of the package mcp behind a real WebSocket, in a thread of its own."""

import asyncio
import contextlib
import socket as sockets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import uvicorn
import websockets
from mcp.server import Server
from mcp.shared.message import SessionMessage
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    TextContent,
    Tool,
    ToolAnnotations,
    jsonrpc_message_adapter,
)
from websockets.asyncio.server import ServerConnection, serve

TEXT = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
ANYTHING = {"type": "object"}
TOOLS = [
    Tool(
        name="search_web", description="Searches.", input_schema=TEXT, annotations=ToolAnnotations(open_world_hint=True)
    ),
    Tool(
        name="calculate", description="Adds.", input_schema=NUMBERS, annotations=ToolAnnotations(open_world_hint=False)
    ),
    Tool(name="undeclared", description="Says ok.", input_schema=ANYTHING),
    Tool(name="echo", input_schema=ANYTHING, annotations=ToolAnnotations(open_world_hint=False)),
    Tool(name="refuse", input_schema=ANYTHING),
    Tool(name="crash", input_schema=ANYTHING),
    Tool(name="hang", input_schema=ANYTHING),
    Tool(name="hang_up", input_schema=ANYTHING),
    Tool(name="unusable", input_schema={"type": "object", "properties": {"x": {"type": 7}}}),
]


class WebSocketMCP:
    """What it was called with is in `calls`; `handshakes` has the headers of each connection. It turns the first
    `refusing` connections away.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.metas: list[dict[str, Any]] = []
        self.handshakes: list[dict[str, str]] = []
        self.refusing: list[int] = []
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._ready = threading.Event()
        self._sockets: set[ServerConnection] = set()
        self._left = threading.Event()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/mcp"

    def is_left(self) -> bool:
        """Whether every connection has ended, which is soon after the other side closed it."""
        return self._left.wait(10)

    def run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with serve(
            self._talk, "127.0.0.1", 0, subprotocols=[websockets.Subprotocol("mcp")], process_request=self._look
        ) as listening:
            self.port = next(iter(listening.sockets)).getsockname()[1]
            self._ready.set()
            await self._over.wait()

    def _look(self, socket: ServerConnection, request: Any) -> Any:
        self.handshakes.append({name.lower(): value for name, value in request.headers.raw_items()})
        if self.refusing:
            answer = socket.respond(self.refusing.pop(0), "not now\n")
            answer.headers["Location"] = "ws://127.0.0.1:9/elsewhere"
            return answer
        return None

    async def _talk(self, socket: ServerConnection) -> None:
        server: Server[Any] = Server("sample", on_list_tools=self._list, on_call_tool=self._call(socket))
        self._sockets.add(socket)
        self._left.clear()
        try:
            async with _streams(socket) as (incoming, outgoing):
                await server.run(incoming, outgoing, server.create_initialization_options())
        finally:
            self._sockets.discard(socket)
            if not self._sockets:
                self._left.set()

    async def _list(self, context: Any, params: Any) -> ListToolsResult:
        half = len(TOOLS) // 2
        if params is not None and params.cursor == "second":
            return ListToolsResult(tools=TOOLS[half:])
        return ListToolsResult(tools=TOOLS[:half], next_cursor="second")

    def _call(self, socket: ServerConnection | None) -> Any:
        async def call(context: Any, params: CallToolRequestParams) -> CallToolResult:
            args = params.arguments or {}
            self.calls.append((params.name, args))
            self.metas.append(dict(context.meta or {}))
            match params.name:
                case "search_web":
                    return _said(f"Sunny, as asked for {args['query']}.")
                case "calculate":
                    total = args["a"] + args["b"]
                    return CallToolResult(content=[TextContent(text=str(total))], structured_content={"total": total})
                case "echo":
                    return _said(str(args.get("text", "")))
                case "refuse":
                    return CallToolResult(content=[TextContent(text="No such customer.")], is_error=True)
                case "crash":
                    raise RuntimeError("the tool broke")
                case "hang":
                    await asyncio.Event().wait()
                case "hang_up" if socket is not None:
                    await socket.close(1011, "gone")
            return _said("ok")

        return call

    def stop(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._over.set)


def _said(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)])


@asynccontextmanager
async def _streams(socket: ServerConnection) -> AsyncIterator[tuple[Any, Any]]:
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, to_socket = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        async with to_server:
            with contextlib.suppress(websockets.ConnectionClosed, anyio.BrokenResourceError):
                async for raw in socket:
                    await to_server.send(SessionMessage(jsonrpc_message_adapter.validate_json(raw, by_name=False)))

    async def write() -> None:
        async with to_socket:
            async for item in to_socket:
                with contextlib.suppress(websockets.ConnectionClosed):
                    await socket.send(item.message.model_dump_json(by_alias=True, exclude_unset=True))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        group.start_soon(write)
        try:
            yield incoming, outgoing
        finally:
            group.cancel_scope.cancel()
            for stream in (to_server, incoming, outgoing, to_socket):
                stream.close()


@contextmanager
def websocket_mcp() -> Iterator[WebSocketMCP]:
    server = WebSocketMCP()
    thread = threading.Thread(target=server.run)
    thread.start()
    assert server._ready.wait(10)
    try:
        yield server
    finally:
        server.stop()
        thread.join()


@contextmanager
def http_mcp() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The same server over streamable HTTP, and the headers of each request that it got."""
    sample = WebSocketMCP()
    seen: list[dict[str, str]] = []
    server: Server[Any] = Server("sample", on_list_tools=sample._list, on_call_tool=sample._call(None))
    inner = server.streamable_http_app(json_response=True, stateless_http=True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await inner(scope, receive, send)

    with sockets.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", ws="none"))
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", seen
        finally:
            running.should_exit = True
            thread.join()
