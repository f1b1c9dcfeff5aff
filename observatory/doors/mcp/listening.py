"""`subscriptions/listen`: a stream that says that the list of tools has changed. Source: MCP 2026-07-28, SEP-2575."""

import asyncio
import datetime as dt
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any

from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, SERVER_INFO_META_KEY, methods
from pydantic import ValidationError

from observatory.doors.mcp.changes import Subscriber, changes, digest_of_tools
from observatory.doors.mcp.messages import Message, RpcError
from observatory.doors.mcp.sse import HEARTBEAT, Slot, StreamsUsedUp, frame, slots
from tools.authentication import key_for
from tools.snapshot import KeyView, Snapshot

METHOD = "subscriptions/listen"
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"
# A thread notices only by writing that its client is gone; a process with an event loop is told.
HEARTBEAT_S = 2.0
HEARTBEAT_IN_A_LOOP_S = 15.0


def refuse_unfit(message: Message) -> None:
    """Raises RpcError where the message is no subscription of this version."""
    try:
        methods.validate_client_request(message.method, message.version, message.params)
    except ValidationError:
        raise RpcError(INVALID_PARAMS, "The parameters do not fit the method.") from None
    except (KeyError, ValueError):
        raise RpcError(METHOD_NOT_FOUND, "Method not found", message.method) from None


class ListenFrames:
    """The acknowledgement, then a notification for each change, and the result where it ends from this side."""

    def __init__(
        self,
        message: Message,
        key: KeyView,
        snapshot: Snapshot,
        credential: str | None,
        server_info: Mapping[str, Any],
    ) -> None:
        """Raises StreamsUsedUp."""

        def prove(snapshot: Snapshot, now: dt.datetime) -> KeyView | None:
            return key_for(credential, snapshot, now)

        slot = slots.take()
        if slot is None:
            raise StreamsUsedUp
        self._slot: Slot = slot
        self._id, self._meta = message.id, {SUBSCRIPTION_ID: message.id}
        self._server_info = server_info
        wanted = message.params["notifications"]
        self._honoured = {"toolsListChanged": True} if wanted.get("toolsListChanged") is True else {}
        self._woken = threading.Event()
        self._has_begun = self._is_over = False
        self.subscriber = Subscriber(key, prove, snapshot.version, digest_of_tools(key, snapshot), self._woken.set)
        changes.subscribe(self.subscriber)

    def __iter__(self) -> "ListenFrames":
        return self

    def __next__(self) -> bytes:
        """Waits in this thread."""
        if self._is_over:
            raise StopIteration
        self._woken.clear()
        if found := self._at_hand():
            return found
        if self._woken.wait(HEARTBEAT_S):
            self._woken.clear()
        return self._at_hand() or HEARTBEAT

    async def in_a_loop(self) -> AsyncIterator[bytes]:
        """The same, waiting without a thread."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        self.subscriber.woken = wake
        while not self._is_over:
            if found := self._at_hand():
                yield found
                continue
            try:
                await asyncio.wait_for(woken.wait(), HEARTBEAT_IN_A_LOOP_S)
            except TimeoutError:
                yield HEARTBEAT
            woken.clear()

    def close(self) -> None:
        changes.leave(self.subscriber)
        self._slot.release()

    def _at_hand(self) -> bytes | None:
        """The next frame, where there is one now. Many changes that nobody has been told of yet are told once."""
        if not self._has_begun:
            self._has_begun = True
            return self._notification("notifications/subscriptions/acknowledged", notifications=self._honoured)
        if self.subscriber.has_changed:
            self.subscriber.has_changed = False
            return self._notification("notifications/tools/list_changed") if self._honoured else None
        if self.subscriber.is_over:
            self._is_over = True
            meta = {**self._meta, SERVER_INFO_META_KEY: self._server_info}
            return frame({"jsonrpc": "2.0", "id": self._id, "result": {"resultType": "complete", "_meta": meta}})
        return None

    def _notification(self, method: str, **params: Any) -> bytes:
        return frame({"jsonrpc": "2.0", "method": method, "params": {**params, "_meta": self._meta}})
