"""How fast an upstream may speak unasked: whoever is louder is listened to more slowly, and harms only itself."""

from __future__ import annotations

import time

import anyio

UNASKED_PER_S = 200
# Many calls share a connection, each with one answer; more than this nobody can have asked for.
ANSWERS_PER_S = 2_000
_BYTES_PER_MESSAGE = 16 * 1024


class Pace:
    """A bucket of messages; waiting here leaves what comes in the pipe or the socket, so the upstream waits too."""

    def __init__(self, messages_per_s: int = UNASKED_PER_S) -> None:
        self._per_s = messages_per_s
        self._left = float(messages_per_s)
        self._at = time.monotonic()

    async def take(self, size_bytes: int = 0) -> None:
        now = time.monotonic()
        self._left = min(self._per_s, self._left + (now - self._at) * self._per_s)
        self._at = now
        self._left -= 1 + size_bytes / _BYTES_PER_MESSAGE
        if self._left < 0:
            await anyio.sleep(-self._left / self._per_s)
