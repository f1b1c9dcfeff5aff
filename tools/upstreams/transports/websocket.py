"""WebSocket, subprotocol mcp: one JSON-RPC message a text frame. The package has none."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import websockets
from mcp.shared.message import SessionMessage
from websockets.asyncio.client import ClientConnection, connect

from telemetry.egress import check_url
from telemetry.egress.asynchronous import checked_socket, let_go, tls_context
from telemetry.egress.client import checked_headers
from telemetry.egress.errors import EgressError, Kind
from tools.upstreams.exchange import LARGEST_MESSAGE_BYTES
from tools.upstreams.streams import Inbound, Outbound, Oversized, parsed, wire
from tools.upstreams.target import Target

_SCHEMES = {"ws": "http", "wss": "https"}
_LONGEST_WRITE_S = 10.0


class _Inbound(Inbound):
    def __init__(self, socket: ClientConnection) -> None:
        super().__init__()
        self._socket = socket

    async def _next(self) -> SessionMessage | Exception:
        try:
            raw = await self._socket.recv()
        except websockets.ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == websockets.CloseCode.MESSAGE_TOO_BIG:
                raise Oversized from None
            raise anyio.EndOfStream from None
        self.bytes_read += len(raw)
        return parsed(raw)


class _Outbound(Outbound):
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def _put(self, message: SessionMessage) -> None:
        try:
            with anyio.fail_after(_LONGEST_WRITE_S):
                await self._socket.send(wire(message))
        except (websockets.ConnectionClosed, OSError, TimeoutError):
            self._socket.transport.abort()
            raise anyio.BrokenResourceError from None


@asynccontextmanager
async def opened(target: Target) -> AsyncGenerator[tuple[Inbound, Outbound], None]:
    scheme, _, rest = target.url.partition("://")
    if scheme not in _SCHEMES:
        raise EgressError(Kind.BAD_URL, "The URL's scheme must be ws or wss.")
    if why := check_url(f"{_SCHEMES[scheme]}://{rest}"):
        raise EgressError(Kind.BAD_URL, why)
    uri = websockets.uri.parse_uri(target.url)
    headers = checked_headers(dict(target.headers))
    agent = headers.pop("User-Agent")
    headers.pop("Accept-Encoding")
    sock = await checked_socket(uri.host, uri.port, target.timeout_s)
    number = sock.fileno()
    try:
        tls: dict[str, Any] = {"ssl": tls_context(), "server_hostname": uri.host} if uri.secure else {}
        socket = await connect(
            target.url,
            sock=sock,  # with a socket of ours it follows no redirect
            subprotocols=[websockets.Subprotocol("mcp")],
            additional_headers=headers,
            user_agent_header=agent,
            compression=None,
            proxy=None,
            max_size=LARGEST_MESSAGE_BYTES,
            max_queue=4,
            open_timeout=target.timeout_s,
            close_timeout=1,
            ping_interval=20,
            ping_timeout=20,
            **tls,
        )
    except BaseException:
        let_go(number)
        sock.close()
        raise
    try:
        async with socket:
            yield _Inbound(socket), _Outbound(socket)
    finally:
        let_go(number)
