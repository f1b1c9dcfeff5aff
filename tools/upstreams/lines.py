"""The open connections, one for each target: made when asked for, kept while they are used, few enough."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from tools.upstreams.answers import Unreachable
from tools.upstreams.connection import Connection
from tools.upstreams.session import Session
from tools.upstreams.target import Target

MOST_CONNECTIONS = 128
LONGEST_IDLE_S = 300.0
_SWEEP_S = 15.0
# An upstream that is known to be down is waited for this long; an attempt that takes longer goes on without the call.
_LONGEST_WAIT_WHEN_DOWN_S = 1.0
_SHORTEST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0


class _Line:
    """The way to one target. After a failure the next attempt waits twice as long as that failure took: what is
    refused at once may be tried again at once, what hangs may not."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.connection: Connection | None = None
        self.failure = ""
        self.tried_at = 0.0
        self.retry_at = 0.0
        self.used_at = time.monotonic()

    def connect(self, list_changed: Callable[[], None]) -> Connection:
        self.tried_at = time.monotonic()
        connection = self.connection = Connection(self.target, list_changed, self._note)
        return connection

    def _note(self, failure: str) -> None:
        now = time.monotonic()
        self.failure = failure
        self.retry_at = now + min(_LONGEST_PAUSE_S, max(_SHORTEST_PAUSE_S, 2 * (now - self.tried_at)))


class Lines:
    """Used in the loop's thread only."""

    def __init__(self, list_changed: Callable[[int], None]) -> None:
        self._lines: dict[Target, _Line] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._list_changed = list_changed
        self._sweeper: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def connected(self, target: Target, wait_s: float) -> AsyncGenerator[tuple[Connection, Session], None]:
        """An open connection and its session, which stays open while this lasts. Raises Unreachable."""
        line = self._line(target)
        connection = line.connection
        if connection is None or not connection.is_open:
            if line.failure and time.monotonic() < line.retry_at:
                raise Unreachable(line.failure)
            self._make_room()
            connection = line.connect(lambda: self._list_changed(target.upstream_id))
            self._ending.add(connection.task)
            connection.task.add_done_callback(self._ending.discard)
        with connection.used():
            if not connection.ready.done():
                longest = min(wait_s, _LONGEST_WAIT_WHEN_DOWN_S) if line.failure else wait_s
                await asyncio.wait({connection.ready}, timeout=max(0.0, longest))
            if not connection.ready.done():
                raise Unreachable(line.failure or "It was not ready in time.")
            yield connection, connection.ready.result()

    def forget(self, upstream_id: int) -> None:
        """Its connections end when their last call has; its next call makes a new one at once."""
        for target in [target for target in self._lines if target.upstream_id == upstream_id]:
            self._drop(target)

    async def close(self) -> None:
        """Every connection is closed."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for line in self._lines.values():
            if line.connection is not None:
                line.connection.close()
        self._lines.clear()
        if self._ending:
            await asyncio.wait(self._ending)

    def _line(self, target: Target) -> _Line:
        line = self._lines.pop(target, None)
        if line is None:
            line = _Line(target)
            for other in [other for other in self._lines if _is_replaced_by(other, target)]:
                self._drop(other)
        line.used_at = time.monotonic()
        self._lines[target] = line  # the last is the one used last
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
        return line

    def _drop(self, target: Target) -> None:
        line = self._lines.pop(target)
        if line.connection is not None:
            line.connection.retire()

    def _make_room(self) -> None:
        open_ones = [line for line in self._lines.values() if line.connection is not None and line.connection.is_open]
        if len(open_ones) < MOST_CONNECTIONS:
            return
        for line in open_ones:
            if line.connection is not None and not line.connection.in_use:
                self._drop(line.target)
                return
        raise Unreachable("Too many connections to upstreams are in use.")

    def _sweep(self) -> None:
        self._sweeper = None
        oldest = time.monotonic() - LONGEST_IDLE_S
        for target, line in list(self._lines.items()):
            is_used = line.connection is not None and line.connection.in_use
            last_used = max(line.used_at, line.connection.used_at if line.connection is not None else 0.0)
            if not is_used and last_used < oldest:
                self._drop(target)
        if self._lines:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)


def _is_replaced_by(old: Target, new: Target) -> bool:
    """The same upstream with the same credential, set otherwise. Another credential may be another agent's."""
    return old.upstream_id == new.upstream_id and old.headers == new.headers and old.environment == new.environment
