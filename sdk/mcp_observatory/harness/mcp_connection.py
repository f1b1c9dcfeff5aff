"""The package mcp over a WebSocket, which it has no transport for, or over its own streamable HTTP."""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

try:
    import anyio
    import httpx2
    import websockets
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter
    from websockets.asyncio.client import ClientConnection, connect
except ImportError as missing:
    raise ImportError('MCPClient needs mcp and websockets: pip install "mcp-observatory[harness]"') from missing

LARGEST_MESSAGE_BYTES = 8 * 1024 * 1024
_MOST_PAGES = 100
# The package's own debugging lines hold headers and frames: they are never written, whoever asks for them.
_quiet = logging.getLogger("mcp_observatory.websocket")
_quiet.setLevel(logging.WARNING)


class _Connection:
    def __init__(self, client: Client, ended: anyio.Event) -> None:
        self._client = client
        self._ended = ended

    @property
    def is_over(self) -> bool:
        return self._ended.is_set()

    async def list_tools(self) -> list[dict[str, Any]]:
        tools: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self._client.list_tools(cursor=cursor, cache_mode="bypass")
            tools += [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                break
        return tools

    async def call_tool(self, name: str, arguments: dict[str, Any], traceparent: str | None) -> dict[str, Any]:
        meta: Any = None if traceparent is None else {"traceparent": traceparent}
        result = await self._client.call_tool(name, arguments, meta=meta)
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)


@asynccontextmanager
async def opened(url: str, headers: Mapping[str, str], timeout_s: float) -> AsyncGenerator[_Connection, None]:
    """A session that has been negotiated."""
    ended = anyio.Event()
    async with AsyncExitStack() as stack:
        if url.startswith(("ws:", "wss:")):
            transport = _websocket(url, headers, timeout_s, ended)
        else:
            http = httpx2.AsyncClient(headers=dict(headers), timeout=httpx2.Timeout(timeout_s, read=300.0))
            await stack.enter_async_context(http)
            transport = streamable_http_client(url, http_client=http)
        client = Client(transport, read_timeout_seconds=timeout_s, cache=None)
        yield _Connection(await stack.enter_async_context(client), ended)


class _NoRedirect(connect):
    """A redirect is an answer like another one that is no WebSocket: headers go to the address that was given."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


@asynccontextmanager
async def _websocket(
    url: str, headers: Mapping[str, str], timeout_s: float, ended: anyio.Event
) -> AsyncGenerator[Any, None]:
    """The two streams that the package wants. Subprotocol mcp, one JSON-RPC message a text frame."""
    async with _NoRedirect(
        url,
        subprotocols=[websockets.Subprotocol("mcp")],
        additional_headers=dict(headers),
        open_timeout=timeout_s,
        close_timeout=1,
        max_size=LARGEST_MESSAGE_BYTES,
        compression=None,
        proxy=None,
        logger=_quiet,
    ) as socket:
        incoming, to_session = anyio.create_memory_object_stream[SessionMessage | Exception](0)[::-1]
        to_server, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as group:
            group.start_soon(_read, socket, to_session, ended)
            group.start_soon(_write, socket, outgoing, to_session)
            try:
                yield incoming, to_server
            finally:
                group.cancel_scope.cancel()
                for stream in (incoming, to_session, to_server, outgoing):
                    stream.close()


async def _read(socket: ClientConnection, to_session: Any, ended: anyio.Event) -> None:
    """Every message of the server; when it says no more, the session hears the end of it."""
    async with to_session:
        try:
            async for raw in socket:
                await to_session.send(_message(raw))
        except (websockets.ConnectionClosed, anyio.ClosedResourceError, anyio.BrokenResourceError):
            return
        finally:
            ended.set()


async def _write(socket: ClientConnection, outgoing: Any, to_session: Any) -> None:
    async with outgoing:
        try:
            async for item in outgoing:
                await socket.send(item.message.model_dump_json(by_alias=True, exclude_unset=True))
        except websockets.ConnectionClosed:
            await to_session.aclose()


def _message(raw: bytes | str) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(raw, by_name=False))
    except ValueError:
        return ValueError("A message is no JSON-RPC.")
