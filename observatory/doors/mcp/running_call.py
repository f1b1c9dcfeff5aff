"""A tool call in a thread of its own, so that its caller can be told how far it is, and can go away meanwhile."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from mcp_types import INTERNAL_ERROR

from observatory.doors.mcp.messages import RpcError
from observatory.doors.mcp.sse import HEARTBEAT, Slot, frame
from telemetry.connections import release_connection
from telemetry.redaction import redact_text
from telemetry.visible import visible
from tools.cancellation import Cancellation

log = logging.getLogger(__name__)
# A call that ends within this time, and reports nothing, is answered as plain JSON, with the status that it has there.
PATIENCE_S = 1.0
HEARTBEAT_S = 1.0
PROGRESS_EVERY_S = 0.1
LONGEST_WORD = 500
Reply = tuple[dict[str, Any], int]


class Progressed:
    """The last thing that a call reported. What came before it and was not sent is forgotten: the sender is slower."""

    def __init__(self, token: str | int, wake: threading.Condition) -> None:
        self._token, self._wake = token, wake
        self._furthest = -math.inf
        self._waiting: dict[str, Any] | None = None
        self._next_at = 0.0

    def report(self, done: float, total: float | None, message: str) -> None:
        """Only what is further than all before is told, as the protocol wants it."""
        if not _is_number(done):
            return
        told: dict[str, Any] = {"progressToken": self._token, "progress": done}
        if total is not None and _is_number(total):
            told["total"] = total
        if message:
            told["message"] = visible(redact_text(str(message), LONGEST_WORD))
        with self._wake:
            if done > self._furthest:
                self._furthest, self._waiting = done, told
                self._wake.notify_all()

    @property
    def is_waiting(self) -> bool:
        return self._waiting is not None

    def due_at(self) -> float:
        """When the next may be sent, on the monotonic clock; never, where there is none."""
        return self._next_at if self._waiting is not None else math.inf

    def take(self) -> bytes:
        told, self._waiting = self._waiting, None
        self._next_at = time.monotonic() + PROGRESS_EVERY_S
        return frame({"jsonrpc": "2.0", "method": "notifications/progress", "params": told})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class RunningCall:
    """`reply` runs once, in its thread, whoever still waits for it. Its database connection is closed there."""

    def __init__(
        self,
        reply: Callable[[], Reply],
        cancellation: Cancellation,
        request_id: str | int,
        token: str | int | None,
    ) -> None:
        self._reply, self.cancellation, self._request_id = reply, cancellation, request_id
        self._wake = threading.Condition()
        self.progressed = Progressed(token, self._wake) if token is not None else None
        self._answer: Reply | None = None
        self._failure: Exception | None = None
        self._is_done = False
        self._slot: Slot | None = None

    def start(self) -> None:
        # Not a daemon, as the thread that serves may be: a process that ends lets its calls end.
        threading.Thread(target=self._run, name="mcp-call", daemon=False).start()

    def _run(self) -> None:
        try:
            self._answer = self._reply()
        except Exception as failure:
            self._failure = failure
        finally:
            release_connection()
            with self._wake:
                self._is_done, slot, self._slot = True, self._slot, None
                self._wake.notify_all()
            if slot is not None:
                slot.release()

    def has_ended(self, within_s: float | None = None) -> bool:
        """True once the call has ended; False where it reports something before, or the time is over."""
        with self._wake:
            self._wake.wait_for(lambda: self._is_done or self._reports(), within_s)
            return self._is_done

    def plain(self) -> Reply:
        """What the call came to, however long that takes. Raises what it raised."""
        with self._wake:
            self._wake.wait_for(lambda: self._is_done)
        if self._failure is not None:
            raise self._failure
        assert self._answer
        return self._answer

    def hold(self, slot: Slot) -> None:
        """The slot is given back when the call ends: a caller that goes away does not make room for another thread."""
        with self._wake:
            if not self._is_done:
                self._slot = slot
                return
        slot.release()

    def next_frame(self) -> tuple[bytes, bool]:
        """What is to be sent next, and whether it is the last: progress, a sign of life, or the response."""
        heartbeat_at = time.monotonic() + HEARTBEAT_S
        with self._wake:
            while True:
                now = time.monotonic()
                due_at = self.progressed.due_at() if self.progressed else math.inf
                if self.progressed and due_at != math.inf and (self._is_done or due_at <= now):
                    return self.progressed.take(), False
                if self._is_done:
                    return self._last(), True
                if heartbeat_at <= now:
                    return HEARTBEAT, False
                self._wake.wait(min(heartbeat_at, due_at) - now)

    def _reports(self) -> bool:
        return self.progressed is not None and self.progressed.is_waiting

    def _last(self) -> bytes:
        """The response. Who took the call back waits for none, and the protocol wants none sent."""
        if self._answer is None:
            # Answered plainly it would be a 500 or a 503; here the status has been sent.
            log.error("a streamed call failed", exc_info=self._failure)
            return frame(RpcError(INTERNAL_ERROR, "The call failed.").as_json(self._request_id))
        document = self._answer[0]
        code = document.get("result", {}).get("structuredContent", {}).get("code")
        return HEARTBEAT if self.cancellation.is_cancelled and code == "call_cancelled" else frame(document)


class CallFrames:
    """The frames of one running call, until its response. Closed before that, the caller is gone."""

    def __init__(self, running: RunningCall, *, cancels: bool) -> None:
        self._running, self._cancels = running, cancels
        self._is_over = False

    def __iter__(self) -> "CallFrames":
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        sent, self._is_over = self._running.next_frame()
        return sent

    def close(self) -> None:
        """In the stateless era a caller that goes away takes its call back; in the handshake era it only goes away."""
        if not self._is_over and self._cancels:
            self._running.cancellation.cancel()
