"""One connection to one upstream, from its beginning to its end, kept by one task: what the package opens it must
also close in the same task."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import mcp_types as types
from mcp import ClientSession
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import listen
from mcp.shared.exceptions import MCPError

from telemetry.egress.errors import EgressError, causes
from tools.upstreams.answers import Unreachable
from tools.upstreams.exchange import CURRENT, Exchange
from tools.upstreams.session import CLIENT_INFO, Dispatcher, Session
from tools.upstreams.streams import Inbound
from tools.upstreams.target import Target
from tools.upstreams.transports import open_transport

log = logging.getLogger(__name__)

_BETWEEN_LISTENS_S = 5.0
_BETWEEN_CHANGES_S = 1.0


class Connection:
    """`ready` answers the session, or raises Unreachable; `task` ends with the connection. The loop's thread only."""

    def __init__(self, target: Target, list_changed: Callable[[], None], settled: Callable[[str], None]) -> None:
        """`settled` is told once, before anybody who waits: why there is no connection, or nothing where there is."""
        self.target = target
        self._settled = settled
        self.ready: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self.used_at = time.monotonic()
        self.in_use = 0
        self.inbound: Inbound | None = None
        self.is_retired = False
        self._stop = anyio.Event()
        self._opening: anyio.CancelScope | None = None
        self._list_changed = list_changed
        self._told_at = -math.inf
        self._told_later: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(self._own())

    @property
    def is_open(self) -> bool:
        """New calls may use it, or wait for it."""
        # Until it is settled it counts as open: whoever waits is told soon, and nobody begins another beside it.
        has_ended = self.ready.done() and self.inbound is not None and self.inbound.ended.is_set()
        return not self.is_retired and not has_ended and not self.task.done()

    @contextmanager
    def used(self) -> Iterator[None]:
        self.in_use += 1
        try:
            yield
        finally:
            self.in_use -= 1
            self.used_at = time.monotonic()
            if self.is_retired and not self.in_use:
                self.close()

    def retire(self) -> None:
        """No new call uses it; it ends when the last call has."""
        self.is_retired = True
        if not self.in_use:
            self.close()

    def close(self) -> None:
        """It ends now."""
        self.is_retired = True
        self._stop.set()
        if not self.ready.done() and self._opening is not None:
            self._opening.cancel()

    async def _own(self) -> None:
        exchange = Exchange(time.monotonic() + self.target.timeout_s, is_handshake=True)
        CURRENT.set(exchange)
        why = "It did not answer in time."
        try:
            with anyio.CancelScope(deadline=exchange.deadline) as self._opening:
                if self._stop.is_set():
                    self._opening.cancel()
                exchange.wake = self._opening.cancel
                await self._hold(exchange, self._opening)
            why = exchange.failure.detail if exchange.failure is not None else why
        except Exception as error:  # whatever the package or a transport raises: the connection has ended
            why = _explained(error, exchange)
        finally:
            exchange.end()
            if self.inbound is not None:
                self.inbound.ended.set()
            if self._told_later is not None:
                self._told_later.cancel()
            if not self.ready.done():
                why = "It was closed." if self._stop.is_set() else why
                self._settled(why)
                self.ready.set_exception(Unreachable(why))
                self.ready.exception()  # somebody has looked: nobody may be waiting

    async def _hold(self, exchange: Exchange, opening: anyio.CancelScope) -> None:
        """The connection, open until it is asked to stop or the upstream ends it."""
        async with open_transport(self.target) as (inbound, outbound):
            self.inbound = inbound
            dispatcher = Dispatcher(inbound, outbound)
            async with ClientSession(
                dispatcher=dispatcher, message_handler=self._on_message, client_info=CLIENT_INFO
            ) as client_session:
                session = Session(client_session, dispatcher)
                # Servers that speak SSE alone are all of the older era.
                await session.begin(probe=self.target.transport != "sse")
                opening.deadline = math.inf
                exchange.end()
                self._settled("")
                self.ready.set_result(session)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._listen, session)
                    tasks.start_soon(self._end_with, inbound)
                    await self._stop.wait()
                    tasks.cancel_scope.cancel()

    async def _end_with(self, inbound: Inbound) -> None:
        await inbound.ended.wait()
        self._stop.set()

    async def _listen(self, session: Session) -> None:
        """Changes of the list are heard in the era that has no spontaneous messages."""
        capabilities = session.client_session.server_capabilities
        if not session.is_modern or capabilities is None or capabilities.tools is None:
            return
        if not capabilities.tools.list_changed:
            return
        CURRENT.set(None)
        while True:
            try:
                async with listen(session.client_session, tools_list_changed=True) as changes:
                    async for _ in changes:
                        self._change()
            except Exception as error:  # whatever the upstream did to its stream; the next one may be better
                log.debug("the subscription to upstream %s ended: %s", self.target.name, type(error).__name__)
            await anyio.sleep(_BETWEEN_LISTENS_S)

    async def _on_message(self, message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._change()

    def _change(self) -> None:
        """The list changed: told at once, then once a second at most; the last change is always told."""
        if self._told_later is not None:
            return
        wait_s = self._told_at + _BETWEEN_CHANGES_S - time.monotonic()
        if wait_s <= 0:
            self._tell()
        else:
            self._told_later = asyncio.get_running_loop().call_later(wait_s, self._tell)

    def _tell(self) -> None:
        self._told_at, self._told_later = time.monotonic(), None
        try:
            self._list_changed()
        except Exception:
            log.exception("a changed list of upstream %s could not be passed on", self.target.name)


def _explained(error: BaseException, exchange: Exchange) -> str:
    """Why there is no connection, in our own words."""
    found = list(_leaves(error))
    for leaf in found:
        for cause in causes(leaf):
            if isinstance(cause, EgressError):
                return cause.detail
    if exchange.failure is not None:
        return exchange.failure.detail
    if any(isinstance(leaf, MCPError) and leaf.error.code == types.CONNECTION_CLOSED for leaf in found):
        return "It ended the connection before it was ready."
    if any(isinstance(leaf, MCPError) for leaf in found):
        return "It refused to begin."
    if any(isinstance(leaf, OSError) for leaf in found):
        return "It can't be reached."
    return "It does not speak MCP as expected."


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
