"""HTTP to an upstream under the MCP package: checked addresses, bounded answers, and each failure told to its call.

The package ends the whole connection when one request fails. Here a failure becomes an HTTP answer, which the package
hands to the one call that it belongs to; what it means is noted in that call's exchange.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpcore2
import httpx2
from pydantic_core import from_json

from telemetry.egress.asynchronous import CheckedBackend, explained, tls_context
from telemetry.egress.errors import EgressError, Kind
from tools.upstreams.exchange import CURRENT, LARGEST_MESSAGE_BYTES, Exchange, Why, note_written
from tools.upstreams.pace import Pace

# They quote URLs, and what upstreams answer.
for name in ("httpx2", "httpcore2"):
    logging.getLogger(name).setLevel(logging.WARNING)
for name in ("mcp.client", "client"):
    logging.getLogger(name).setLevel(logging.CRITICAL)

# Servers commonly close a silent connection after 5 s; one that is closed while it is written to is an unknown outcome.
_KEPT_ALIVE_S = 4.0
_MOST_SOCKETS = 100
_LONGEST_ERROR_BYTES = 64 * 1024
# For what nobody waits for: notifications, the end of a session, the reply to an upstream's question.
_COURTESY_S = 3.0
_STANDING_STREAM_BEGINS_S = 30.0
_BETWEEN_STANDING_STREAMS_S = 1.0
# Said by the HTTP layer before anything ran.
TURNED_AWAY = frozenset({401, 402, 403, 404, 405, 406, 407, 411, 413, 414, 415, 421, 426, 429, 431})
_SERVER_ERROR = -32000


class _Failed(Exception):
    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(detail)
        self.why = why
        self.detail = detail


class GuardedTransport(httpx2.AsyncBaseTransport):
    """With `answers_elsewhere` (legacy SSE) the answer to a POST says only that it arrived."""

    def __init__(self, *, answers_elsewhere: bool = False) -> None:
        self._answers_elsewhere = answers_elsewhere
        self._pace = Pace()
        self._last_stream_at = 0.0
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls_context(),
            max_connections=_MOST_SOCKETS,
            max_keepalive_connections=10,
            keepalive_expiry=_KEPT_ALIVE_S,
            network_backend=CheckedBackend(note_written),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = CURRENT.get() or Exchange(time.monotonic() + _COURTESY_S)
        message_id = _request_id(request)
        # Open for what the upstream says unasked; begun in the context of the handshake, and none of its parts.
        is_standing = request.method == "GET" and (exchange.is_handshake or CURRENT.get() is None)
        if is_standing:
            await self._space_out()
        if is_standing and exchange.is_over:
            exchange = Exchange(time.monotonic() + _STANDING_STREAM_BEGINS_S)
        elif message_id is None and request.method != "GET":
            exchange = Exchange(time.monotonic() + _COURTESY_S)
        try:
            answer = await self._asked(request, exchange)
        except Exception as error:  # whatever the libraries below raise
            return self._failed(exchange, _of(explained(error, _host(request), written=exchange.written)))
        try:
            return await self._judged(request, answer, exchange, message_id)
        except _Failed as error:
            await answer.aclose()
            return self._failed(exchange, error)
        except BaseException:
            await answer.aclose()
            raise

    async def _asked(self, request: httpx2.Request, exchange: Exchange) -> httpcore2.Response:
        """The status and the headers."""
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        url = request.url
        outgoing = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": {"connect": max(0.1, exchange.seconds_left()), "pool": exchange.seconds_left()}},
        )
        scope = exchange.scope()
        try:
            with scope:
                return await self._pool.handle_async_request(outgoing)
        finally:
            exchange.leave(scope)
        raise TimeoutError

    async def _judged(
        self, request: httpx2.Request, answer: httpcore2.Response, exchange: Exchange, message_id: Any
    ) -> httpx2.Response:
        headers = httpx2.Headers([(name, value) for name, value in answer.headers if name.lower() != b"set-cookie"])
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise _Failed(Why.INVALID, "The answer is compressed though it was asked not to be.")
        if 300 <= answer.status < 400:
            raise _Failed(Why.BROKEN, f"The answer is a redirect ({answer.status}).")
        body = _Body(answer, exchange, self._pace)
        if answer.status >= 400:
            content = await body.all(_LONGEST_ERROR_BYTES)
            self._note_status(answer.status, content, request, exchange)
            return httpx2.Response(answer.status, headers=_plain(headers), content=content)
        if message_id is not None and not self._answers_elsewhere:
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if answer.status == 202 or kind not in ("application/json", "text/event-stream"):
                raise _Failed(Why.INVALID, "The answer is neither JSON nor an event stream.")
            if kind == "application/json":
                content = _taken(await body.all(LARGEST_MESSAGE_BYTES), message_id, exchange)
                return httpx2.Response(answer.status, headers=_plain(headers), content=content)
        elif request.method != "GET":
            content = await body.all(_LONGEST_ERROR_BYTES)
            return httpx2.Response(answer.status, headers=_plain(headers), content=content)
        body.is_standing = request.method == "GET" and (exchange.is_handshake or exchange is not CURRENT.get())
        return httpx2.Response(answer.status, headers=headers, stream=body)

    def _note_status(self, status: int, content: bytes, request: httpx2.Request, exchange: Exchange) -> None:
        """What an error status says of the call; a JSON-RPC error in it says more, and is the package's to hand on."""
        error = _error_of(content)
        if request.method == "GET" and not exchange.is_handshake:
            # The call was taken long ago: this only asked for the rest of its answer.
            exchange.fail(Why.BROKEN, f"It answered {status} when asked for the rest of its answer.")
            return
        has_session = "mcp-session-id" in request.headers
        if has_session and (status == 404 or (status == 400 and error is not None and error == _SERVER_ERROR)):
            exchange.fail(Why.SESSION_LOST, "It lost the session.")
        elif status in TURNED_AWAY and not (status == 404 and error is not None):
            exchange.fail(Why.TURNED_AWAY, f"It answered {status}.", wake=self._answers_elsewhere)
        elif error is None or self._answers_elsewhere:
            why = Why.TURNED_AWAY if status == 400 else Why.BROKEN
            exchange.fail(why, f"It answered {status}.", wake=self._answers_elsewhere)

    def _failed(self, exchange: Exchange, error: _Failed) -> httpx2.Response:
        exchange.fail(error.why, error.detail, wake=self._answers_elsewhere)
        return httpx2.Response(502, headers={"content-type": "text/plain"}, content=b"")

    async def _space_out(self) -> None:
        """A stream that its server ends at once is not opened again at once."""
        wait_s = self._last_stream_at + _BETWEEN_STANDING_STREAMS_S - time.monotonic()
        self._last_stream_at = time.monotonic() + max(0.0, wait_s)
        if wait_s > 0:
            await anyio.sleep(wait_s)

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    """The body of an answer: no longer than its exchange, no larger than that may read."""

    def __init__(self, answer: httpcore2.Response, exchange: Exchange, pace: Pace) -> None:
        self._answer = answer
        self._exchange = exchange
        self._pace = pace
        # A stream that stays open for what the upstream says unasked.
        self.is_standing = False

    async def all(self, most_bytes: int) -> bytes:
        """The whole. Raises _Failed where it is larger."""
        content = bytearray()
        try:
            async for chunk in self._chunks():
                content += chunk
                if len(content) > most_bytes:
                    raise _Failed(Why.INVALID, f"The answer is larger than {most_bytes} bytes.")
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise _Failed(Why.BROKEN, "It broke off within its answer.") from error
        finally:
            await self._answer.aclose()
        return bytes(content)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks():
                yield chunk
        except _Failed as error:
            self._exchange.fail(error.why, error.detail)
            raise httpx2.StreamError(error.detail) from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError):
            raise httpx2.StreamError("It broke off within its answer.") from None

    async def aclose(self) -> None:
        await self._answer.aclose()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        chunks = self._answer.stream.__aiter__()  # type: ignore[union-attr]  # an asynchronous pool's
        while True:
            chunk = await self._one(chunks)
            if chunk is None:
                return
            yield chunk

    async def _one(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        if self.is_standing:
            chunk = await anext(chunks, None)
            if chunk:
                await self._pace.take(len(chunk))
            return chunk
        scope = self._exchange.scope()
        try:
            with scope:
                chunk = await anext(chunks, None)
                self._exchange.bytes_left -= len(chunk or b"")
                if self._exchange.bytes_left < 0:
                    raise _Failed(Why.INVALID, "It sent more than one exchange may read.")
                return chunk
        finally:
            self._exchange.leave(scope)
        raise _Failed(Why.TIMEOUT, "It did not finish in time.")


def _of(error: EgressError) -> _Failed:
    if not error.written:
        return _Failed(Why.NOT_CONNECTED, error.detail)
    return _Failed(Why.TIMEOUT if error.kind == Kind.TIMEOUT else Why.BROKEN, error.detail)


def _taken(content: bytes, message_id: Any, exchange: Exchange) -> bytes:
    """A JSON answer, whose result goes straight to the exchange: the package's own checks of a large one take long."""
    try:
        document = from_json(content)
    except ValueError:
        raise _Failed(Why.INVALID, "The answer can't be read as JSON.") from None
    if not isinstance(document, dict) or "method" in document:
        raise _Failed(Why.INVALID, "The answer is no JSON-RPC answer.")
    result = document.get("result")
    if document.get("id") != message_id and not (document.get("id") is None and "error" in document):
        raise _Failed(Why.INVALID, "The answer names another request.")
    if isinstance(result, dict):
        exchange.result = result
        return json.dumps({"jsonrpc": "2.0", "id": message_id, "result": {}}).encode()
    return json.dumps({"jsonrpc": "2.0", "id": message_id, "error": _error(document.get("error"))}).encode()


def _error(found: Any) -> dict[str, Any]:
    """A JSON-RPC error that the package can read, whatever was sent."""
    if not isinstance(found, dict) or not isinstance(found.get("code"), int) or isinstance(found["code"], bool):
        raise _Failed(Why.INVALID, "The answer is no JSON-RPC answer.")
    kept = {"code": found["code"], "message": str(found.get("message", ""))[:2000]}
    return kept | ({"data": found["data"]} if "data" in found else {})


def _error_of(content: bytes) -> int | None:
    """The code of the JSON-RPC error that the body is."""
    try:
        return int(_error(from_json(content)["error"])["code"])
    except (ValueError, KeyError, TypeError, _Failed):
        return None


def _request_id(request: httpx2.Request) -> Any:
    """The JSON-RPC id of the request that a POST carries; None for a notification or an answer of ours."""
    if request.method != "POST":
        return None
    message = json.loads(request.content)
    return message.get("id") if "method" in message else None


def _plain(headers: httpx2.Headers) -> list[tuple[str, str]]:
    """For a body that was read: its length is another now."""
    return [(name, value) for name, value in headers.items() if name not in ("content-length", "transfer-encoding")]


def _host(request: httpx2.Request) -> str:
    return urlsplit(str(request.url)).hostname or ""
