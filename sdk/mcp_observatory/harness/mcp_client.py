"""One connection to an MCP server, by WebSocket or streamable HTTP. Needs the extra `harness`."""

import asyncio
import random as randomness
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit

from mcp_observatory.errors import NotReachable
from mcp_observatory.trace_context import current_traceparent

_SCHEMES = ("ws", "wss", "http", "https")
_FIRST_BACKOFF_S = 0.25
_LONGEST_BACKOFF_S = 8.0
# What another try would only be told again.
_FINAL_STATUSES = frozenset(range(400, 500)) - {408, 425, 429}


class Connection(Protocol):
    """One that was opened; `is_over` once the server has ended it."""

    @property
    def is_over(self) -> bool: ...

    async def list_tools(self) -> list[dict[str, Any]]: ...

    async def call_tool(self, name: str, arguments: dict[str, Any], traceparent: str | None) -> dict[str, Any]: ...


Opened = Callable[[str, Mapping[str, str], float], AbstractAsyncContextManager[Connection]]


class MCPClient:
    """Safe to share between tasks of one event loop. Where the server ended the connection, the next call opens
    another one; a call whose answer was lost is not made again.

    Units: `timeout_s` bounds each wait for the server. A connection that can't be made is tried `retries` times more.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
        retries: int = 3,
        sleep: Callable[[float], Any] = asyncio.sleep,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        """Raises ValueError, which does not repeat the URL, and ImportError without the extra."""
        _check(url)
        if timeout_s <= 0 or retries < 0:
            raise ValueError("timeout_s is above 0 and retries at least 0")
        self._url = url
        self._headers = dict(headers or {})
        self._timeout_s = timeout_s
        self._retries = retries
        self._sleep = sleep
        self._random = random
        self._opened: Opened = import_module("mcp_observatory.harness.mcp_connection").opened
        self._turn = asyncio.Lock()
        self._owner: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        parts = urlsplit(self._url)
        return f"MCPClient({parts.scheme}://{parts.netloc})"

    async def connect(self) -> None:
        """The connection is open. Raises NotReachable after the last try."""
        async with self._turn:
            if self._is_alive():
                return
            await self._end()
            for attempt in range(self._retries + 1):
                failure = await self._open()
                if failure is None:
                    return
                if attempt == self._retries or _is_final(failure):
                    kinds = ", ".join(sorted({type(leaf).__name__ for leaf in _leaves(failure)}))
                    raise NotReachable(0, "not_reachable", "Not reachable", f"No connection could be made ({kinds}).")
                await self._sleep(self._random() * min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2.0**attempt))

    async def list_tools(self) -> list[dict[str, Any]]:
        """Every page of the server's tools, as it lists them."""
        return await (await self._connected()).list_tools()

    async def call_tool(self, name: str, arguments: dict[str, Any], /) -> dict[str, Any]:
        """The result as the protocol has it: `content`, `structuredContent`, `isError`. The current span goes along."""
        return await (await self._connected()).call_tool(name, arguments, current_traceparent())

    async def close(self) -> None:
        """No connection is open."""
        async with self._turn:
            await self._end()

    async def _connected(self) -> Connection:
        if self._connection is not None and not self._is_alive():
            await self.connect()
        if self._connection is None:
            raise NotReachable(0, "not_reachable", "Not reachable", "The client is not connected.")
        return self._connection

    def _is_alive(self) -> bool:
        is_kept = self._owner is not None and not self._owner.done()
        return is_kept and self._connection is not None and not self._connection.is_over

    async def _end(self) -> None:
        owner, self._owner, self._connection = self._owner, None, None
        if owner is not None:
            self._over.set()
            await asyncio.wait({owner})

    async def _open(self) -> BaseException | None:
        """The connection is open, or why not."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Connection] = loop.create_future()
        self._over = asyncio.Event()
        owner = asyncio.create_task(self._own(ready, self._over))
        try:
            self._connection = await asyncio.wait_for(asyncio.shield(ready), self._timeout_s)
        except (Exception, asyncio.CancelledError) as failure:
            owner.cancel()
            await asyncio.wait({owner})
            ready.cancel()
            if isinstance(failure, asyncio.CancelledError):
                raise
            return failure
        self._owner = owner
        return None

    async def _own(self, ready: "asyncio.Future[Connection]", over: asyncio.Event) -> None:
        """The connection's life in one task, which its cancel scopes want; whoever uses it stands in others."""
        try:
            async with self._opened(self._url, self._headers, self._timeout_s) as connection:
                if not ready.done():
                    ready.set_result(connection)
                await over.wait()
        except Exception as failure:
            if not ready.done():
                ready.set_exception(failure)


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("url can't be read as a URL") from None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError("url starts with ws://, wss://, http:// or https:// and names a host")
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("url has no user and no fragment; a credential goes into headers")


def _leaves(failure: BaseException) -> Iterator[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        for one in failure.exceptions:
            yield from _leaves(one)
    else:
        yield failure


def _is_final(failure: BaseException) -> bool:
    statuses = (getattr(getattr(leaf, "response", None), "status_code", None) for leaf in _leaves(failure))
    return any(status in _FINAL_STATUSES for status in statuses)
