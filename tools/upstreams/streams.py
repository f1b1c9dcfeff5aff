"""The two ends of a connection as the MCP package wants them, with what it leaves unbounded bounded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import (
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic_core import from_json

from tools.upstreams.exchange import CURRENT, LARGEST_MESSAGE_BYTES, Why
from tools.upstreams.pace import ANSWERS_PER_S, Pace

# W3C trace context and baggage: the package adds the process's own; only the caller's may leave.
_TRACE_KEYS = ("traceparent", "tracestate", "baggage")
# The same message goes through a deep tree of checks in the package; larger ones are taken apart here.
_SMALL_BYTES = 16 * 1024


class Oversized(Exception):
    """One message is larger than LARGEST_MESSAGE_BYTES; where it ends is not looked for."""


def parsed(raw: bytes | str) -> SessionMessage | Exception:
    """The message, or why it is none. jiter, underneath, refuses what nests more than 200 levels."""
    try:
        if len(raw) <= _SMALL_BYTES:
            return SessionMessage(jsonrpc_message_adapter.validate_json(raw, by_name=False))
        document = from_json(raw)
        result = document.get("result") if isinstance(document, dict) else None
        if isinstance(result, dict) and isinstance(document.get("id"), int | str):
            return SessionMessage(JSONRPCResponse.model_construct(jsonrpc="2.0", id=document["id"], result=result))
        return SessionMessage(jsonrpc_message_adapter.validate_python(document, by_name=False))
    except ValueError:
        return ValueError("A message is no JSON-RPC.")


class Inbound(ABC):
    """What the upstream says. `ended` is set when it says no more; `failure` then says why, where that is known."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.failure: Why | None = None
        self.bytes_read = 0
        self._pace, self._pace_of_answers = Pace(), Pace(ANSWERS_PER_S)

    @abstractmethod
    async def _next(self) -> SessionMessage | Exception:
        """The next message. Raises EndOfStream; and Oversized."""

    async def receive(self) -> SessionMessage | Exception:
        try:
            item = await self._next()
        except Oversized:
            self.failure = Why.INVALID
            self.ended.set()
            raise anyio.EndOfStream from None
        except anyio.EndOfStream:
            self.ended.set()
            raise
        if isinstance(item, Exception) or isinstance(item.message, JSONRPCRequest | JSONRPCNotification):
            await self._pace.take()
        else:
            await self._pace_of_answers.take()
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self.ended.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Outbound(ABC):
    """What is said to the upstream."""

    # Whether handing a message over is writing it; HTTP's connections say so themselves.
    writes = True

    @abstractmethod
    async def _put(self, message: SessionMessage) -> None:
        """It is written. Raises anyio.BrokenResourceError where it can't be."""

    async def send(self, item: SessionMessage, /) -> None:
        exchange = CURRENT.get()
        message = item.message
        if isinstance(message, JSONRPCRequest):
            _mend_trace(message, exchange.trace if exchange is not None else {})
            if exchange is not None and self.writes:
                exchange.written = True
        await self._put(item)

    async def aclose(self) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class InboundOf(Inbound):
    """The package's own stream, guarded."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    async def _next(self) -> SessionMessage | Exception:
        try:
            item: SessionMessage | Exception = await self._stream.receive()
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise anyio.EndOfStream from None
        return item

    async def aclose(self) -> None:
        await super().aclose()
        await self._stream.aclose()


class OutboundOf(Outbound):
    writes = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def _put(self, message: SessionMessage) -> None:
        await self._stream.send(message)

    async def aclose(self) -> None:
        await self._stream.aclose()


def check_size(size_bytes: int) -> None:
    if size_bytes > LARGEST_MESSAGE_BYTES:
        raise Oversized


def wire(message: SessionMessage) -> str:
    return message.message.model_dump_json(by_alias=True, exclude_unset=True)


def _mend_trace(request: JSONRPCRequest, trace: Any) -> None:
    meta = dict((request.params or {}).get("_meta") or {})
    kept = {name: value for name, value in meta.items() if name not in _TRACE_KEYS}
    kept |= {name: trace[name] for name in _TRACE_KEYS if name in trace}
    if request.params is not None and kept != meta:
        request.params["_meta"] = kept
