"""The protocol with one upstream, of either era: how it begins, one page of its list, one call. Raw JSON comes back.

The package's own `Client` would refuse a whole list for one bad tool, and its checks of a large result take seconds;
its session is used to begin and to listen, its dispatcher for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import mcp_types as types
from mcp import ClientSession
from mcp.shared.dispatcher import CallOptions, ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    encode_header_value,
    find_invalid_x_mcp_header,
    mcp_param_headers,
    x_mcp_header_map,
)
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from tools.upstreams.exchange import CURRENT, Exchange, Why

CLIENT_INFO = types.Implementation(name="mcp-observatory", version="1")
# Servers of the older era that never answer an unknown method get the handshake after this.
_LONGEST_PROBE_S = 5.0
_LONGEST_CURSOR = 4096


class Rubbish(Exception):
    """What the upstream answered can't be read."""


class Dispatcher(JSONRPCDispatcher):
    """The package's, which answers the result that a transport read itself."""

    async def send_raw_request(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        raw = await super().send_raw_request(*args, **kwargs)
        exchange = CURRENT.get()
        if exchange is not None and exchange.result is not None:
            raw, exchange.result = exchange.result, None
        return raw


class Session:
    def __init__(self, session: ClientSession, dispatcher: Dispatcher) -> None:
        self._session = session
        self._dispatcher = dispatcher
        # Which arguments of a tool stand in headers too; known of tools that were listed.
        self._headers_of: dict[str, Mapping[tuple[str, ...], str]] = {}

    @property
    def client_session(self) -> ClientSession:
        return self._session

    @property
    def protocol_version(self) -> str:
        return self._session.protocol_version or ""

    @property
    def is_modern(self) -> bool:
        return self.protocol_version in MODERN_PROTOCOL_VERSIONS

    @property
    def server(self) -> tuple[str, str]:
        """What it calls itself, and its version: its own words."""
        info = self._session.server_info
        return (info.name[:200], info.version[:200]) if info is not None else ("", "")

    async def begin(self, *, probe: bool) -> None:
        """The era is agreed upon. Raises MCPError, RuntimeError or ValidationError; or what the transport raises."""
        exchange = CURRENT.get()
        assert exchange is not None
        if probe and await self._is_discovered(exchange):
            return
        try:
            await self._session.initialize()
        except MCPError as error:
            if not probe or error.error.code != types.UNSUPPORTED_PROTOCOL_VERSION:
                raise
            # It was slow to start: the probe that was no longer waited for has settled the era meanwhile.
            await self._session.discover()

    async def _is_discovered(self, exchange: Exchange) -> bool:
        with anyio.move_on_after(min(_LONGEST_PROBE_S, exchange.seconds_left() / 3)):
            try:
                await self._session.discover()
                return True
            except (MCPError, RuntimeError, ValidationError):
                if exchange.failure is not None and exchange.failure.why == Why.NOT_CONNECTED:
                    raise
        exchange.failure, exchange.result, exchange.written = None, None, False
        return False

    async def page(self, cursor: str | None) -> tuple[list[Mapping[str, Any]], str | None]:
        """One page of its tools as they stand on the wire, and where the next begins."""
        raw = await self._asked("tools/list", {} if cursor is None else {"cursor": cursor})
        tools, following = raw.get("tools"), raw.get("nextCursor")
        if not isinstance(tools, list) or not isinstance(following, str | None):
            raise Rubbish("Its list of tools can't be read.")
        if following is not None and len(following) > _LONGEST_CURSOR:
            raise Rubbish("Its list of tools can't be read.")
        listed: list[Mapping[str, Any]] = [tool for tool in tools if isinstance(tool, dict)]
        if cursor is None:
            # What is listed no more is forgotten: an upstream that lists other names each time fills no memory.
            self._headers_of.clear()
        for tool in listed:
            self._learn(tool)
        return listed, following

    async def call(
        self, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any], progress: ProgressFnT | None
    ) -> dict[str, Any]:
        """The raw result. Raises MCPError."""
        params = {"name": name, "arguments": dict(arguments)} | ({"_meta": dict(meta)} if meta else {})
        return await self._asked("tools/call", params, progress)

    async def _asked(self, method: str, params: dict[str, Any], progress: ProgressFnT | None = None) -> dict[str, Any]:
        options: CallOptions = {"headers": {MCP_PROTOCOL_VERSION_HEADER: self.protocol_version}}
        if self.is_modern:
            params = params | {"_meta": dict(params.get("_meta") or {}) | self._envelope()}
            options["headers"] |= {MCP_METHOD_HEADER: method}
            if method == "tools/call":
                name, arguments = params["name"], params["arguments"]
                options["headers"] |= {MCP_NAME_HEADER: encode_header_value(name)}
                options["headers"] |= mcp_param_headers(self._headers_of.get(name, {}), arguments)
        if progress is not None:
            options["on_progress"] = progress
        return await self._dispatcher.send_raw_request(method, params, options)

    def _envelope(self) -> dict[str, Any]:
        return {
            types.PROTOCOL_VERSION_META_KEY: self.protocol_version,
            types.CLIENT_INFO_META_KEY: CLIENT_INFO.model_dump(by_alias=True, mode="json", exclude_none=True),
            # No sampling, no elicitation, no roots.
            types.CLIENT_CAPABILITIES_META_KEY: {},
        }

    def _learn(self, tool: Mapping[str, Any]) -> None:
        name, schema = tool.get("name"), tool.get("inputSchema")
        if self.is_modern and isinstance(name, str) and isinstance(schema, dict):
            invalid = find_invalid_x_mcp_header(schema) is not None
            self._headers_of[name] = {} if invalid else x_mcp_header_map(schema)
