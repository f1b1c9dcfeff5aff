"""What one request to an upstream may still use, how far it came, and why it failed.

It travels in a context variable: the MCP package sends each message in the context of whoever sent it, so the
transports, far below, know whose request they carry.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import anyio

LARGEST_MESSAGE_BYTES = 8 * 1024 * 1024
# An answer may come with progress and logs around it.
LARGEST_EXCHANGE_BYTES = 2 * LARGEST_MESSAGE_BYTES


class Why(StrEnum):
    NOT_CONNECTED = "not_connected"  # nothing left this process
    TURNED_AWAY = "turned_away"  # the upstream's HTTP layer refused it: nothing ran
    SESSION_LOST = "session_lost"  # the upstream forgot the session: nothing ran
    TIMEOUT = "timeout"
    BROKEN = "broken"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Failure:
    why: Why
    detail: str


@dataclass(slots=True, eq=False)
class Exchange:
    """`deadline` is of time.monotonic(). Used in the loop's thread only."""

    deadline: float
    is_handshake: bool = False
    # What the caller wants said in `_meta`; nothing else about traces is sent.
    trace: Mapping[str, Any] = field(default_factory=dict)
    bytes_left: int = LARGEST_EXCHANGE_BYTES
    written: bool = False
    is_over: bool = False
    failure: Failure | None = None
    # The JSON-RPC result, where a transport read it itself.
    result: dict[str, Any] | None = None
    wake: Callable[[], None] | None = None
    _scopes: set[anyio.CancelScope] = field(default_factory=set)

    def fail(self, why: Why, detail: str, *, wake: bool = False) -> None:
        """The first failure is the one. With `wake` nobody else will tell the one who waits."""
        if self.failure is None:
            self.failure = Failure(why, detail)
        if wake and self.wake is not None and not self.is_over:
            self.wake()

    def scope(self) -> anyio.CancelScope:
        """A scope that ends when the exchange does; hand it back by leave()."""
        scope = anyio.CancelScope(deadline=self.deadline if not self.is_over else 0)
        self._scopes.add(scope)
        return scope

    def leave(self, scope: anyio.CancelScope) -> None:
        self._scopes.discard(scope)

    def end(self) -> None:
        """Nobody waits for it any more: what still reads for it stops."""
        self.is_over, self.wake = True, None
        for scope in list(self._scopes):
            scope.cancel()

    @property
    def was_turned_away(self) -> bool:
        return self.failure is not None and self.failure.why == Why.TURNED_AWAY

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


CURRENT: ContextVar[Exchange | None] = ContextVar("upstream_exchange", default=None)


def note_written() -> None:
    exchange = CURRENT.get()
    if exchange is not None:
        exchange.written = True
