"""Subscriptions from an event loop: thousands of open streams without a thread each.

A request meets the same middleware and the same view as under WSGI, in one of a few threads; only the stream that
comes of it is sent from the loop. A proxy tells these requests by their header `Mcp-Method: subscriptions/listen`.
"""

import asyncio
import contextlib
import io
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core import signals
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.base import BaseHandler
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from observatory.doors.body import MAX_BYTES
from observatory.doors.mcp.changes import changes
from observatory.doors.mcp.listening import METHOD, ListenFrames
from observatory.doors.mcp.sse import EventStream
from observatory.doors.problem import MEDIA_TYPE, document
from telemetry.connections import release_connection
from tools.reasons import reason

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
THREADS = 8
SLOWEST_BODY_S = 30.0
HEALTH = ("/health", "/health/ready")


class Gone(Exception):
    """The client went away before it had asked for anything."""


class Subscriptions(BaseHandler):
    """Answers `POST /mcp` with the method subscriptions/listen, and health. What else comes is not found."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="subscriptions")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            with contextlib.suppress(Gone):
                await self._serve(scope, receive, send)

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        if not _is_ours(scope):
            await _refuse(send)
            return
        body = await _body(receive)
        loop = asyncio.get_running_loop()
        answered = loop.run_in_executor(self._threads, self._answered, scope, body)
        try:
            response = await asyncio.shield(answered)
        except asyncio.CancelledError:
            answered.add_done_callback(_close_unsent)
            raise
        try:
            await send({"type": "http.response.start", "status": response.status_code, "headers": _headers(response)})
            if isinstance(response, EventStream) and isinstance(response.frames, ListenFrames):
                await _stream(response.frames, receive, send)
            else:
                # Only streams of subscriptions come from here; all other answers are whole.
                await send({"type": "http.response.body", "body": getattr(response, "content", b"")})
        finally:
            await loop.run_in_executor(self._threads, response.close)

    def _answered(self, scope: Message, body: bytes) -> HttpResponseBase:
        """What the view says, in a thread of the few; it keeps no database connection."""
        set_script_prefix("/")
        signals.request_started.send(sender=type(self), scope=scope)
        try:
            return self.get_response(ASGIRequest(scope, io.BytesIO(body)))
        finally:
            release_connection()


def _close_unsent(answered: asyncio.Future[HttpResponseBase]) -> None:
    if not answered.cancelled() and answered.exception() is None:
        answered.result().close()


def _is_ours(scope: Message) -> bool:
    if scope["path"] in HEALTH:
        return True
    methods = [value for name, value in scope["headers"] if name == b"mcp-method"]
    return scope["path"] == "/mcp" and scope["method"] == "POST" and methods == [METHOD.encode()]


async def _refuse(send: Send) -> None:
    why = reason("not_found")
    text = json.dumps(document(why, "This process serves subscriptions only.")).encode()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": why.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def _body(receive: Receive) -> bytes:
    """More than may be read at most by what comes at once: the view refuses it. Raises Gone, also for a slow body."""
    found = b""
    try:
        async with asyncio.timeout(SLOWEST_BODY_S):
            while len(found) <= MAX_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                found += message.get("body", b"")
                if not message.get("more_body"):
                    break
    except TimeoutError:
        raise Gone from None
    return found


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin1"), value.encode("latin1")) for name, value in response.items()]


async def _stream(frames: ListenFrames, receive: Receive, send: Send) -> None:
    """Everything there is to tell was sent, or the client is gone."""

    async def tell() -> None:
        async for sent in frames.in_a_loop():
            await send({"type": "http.response.body", "body": sent, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def leave() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = {asyncio.create_task(tell()), asyncio.create_task(leave())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            changes.end_all()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
