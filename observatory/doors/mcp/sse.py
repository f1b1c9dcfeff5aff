"""An answer that is a stream: server-sent events, each a JSON-RPC message. Source: WHATWG HTML, Server-sent events."""

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from django.conf import settings
from django.http import StreamingHttpResponse
from mcp_types import INTERNAL_ERROR
from rest_framework.renderers import JSONRenderer

from observatory.doors.mcp.messages import RpcError

MEDIA_TYPE = "text/event-stream"
# A comment, which clients skip. Writing it is how the web server finds out that the client is gone.
HEARTBEAT = b": alive\n\n"
# No cache and no proxy keeps, changes or compresses what is on its way.
HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


def frame(message: Mapping[str, Any]) -> bytes:
    """One event. JSON holds no line break of its own, so it is one line of data."""
    return f"event: message\ndata: {json.dumps(message, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def accepts_stream(accept: str) -> bool:
    """The client named event streams itself: one that only takes whatever comes gets plain JSON."""
    return any(part.partition(";")[0].strip().lower() == MEDIA_TYPE for part in accept.split(","))


class EventStreamRenderer(JSONRenderer):
    """A plain answer for a client that takes nothing but streams: one event. A refusal stays the JSON that it is."""

    media_type = MEDIA_TYPE
    format = "sse"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        response = (renderer_context or {}).get("response")
        if response is None or response.content_type is not None or data is None:
            return super().render(data, "application/json", renderer_context)
        return frame(data)


class Frames(Protocol):
    """What is sent. `close` is called when the client has all or is gone; of a generator that never began it is not."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes: ...

    def close(self) -> None: ...


class EventStream(StreamingHttpResponse):
    """200, and then events for as long as `frames` has some."""

    def __init__(self, frames: Frames) -> None:
        super().__init__(frames, content_type=MEDIA_TYPE, headers=HEADERS)
        self.frames = frames


class StreamsUsedUp(RpcError):
    """This process holds as many streams as it may."""

    def __init__(self) -> None:
        super().__init__(INTERNAL_ERROR, "Too many open streams.", {"code": "streams_used_up", "retry_after_s": 5})

    def status(self, *, stateless: bool) -> int:
        return 503


class Slot:
    """A place among the open streams, given back once."""

    def __init__(self, slots: "Slots") -> None:
        self._slots: Slots | None = slots

    def release(self) -> None:
        slots, self._slots = self._slots, None
        if slots is not None:
            slots._give()


class Slots:
    """How many streams this process holds open, at most settings.MCP_STREAMS."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.open = 0

    def take(self) -> Slot | None:
        with self._lock:
            if self.open >= settings.MCP_STREAMS:
                return None
            self.open += 1
        return Slot(self)

    def _give(self) -> None:
        with self._lock:
            self.open -= 1


slots = Slots()
