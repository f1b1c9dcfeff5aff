"""How fast an upstream may speak unasked: whoever is louder is listened to more slowly, and harms only itself."""

from __future__ import annotations

import time

import anyio

_MESSAGES_PER_S = 200
_BYTES_PER_MESSAGE = 16 * 1024


class Pace:
    """A bucket of messages; waiting here leaves what comes in the pipe or the socket, so the upstream waits too."""

    def __init__(self) -> None:
        self._left = float(_MESSAGES_PER_S)
        self._at = time.monotonic()

    async def take(self, size_bytes: int = 0) -> None:
        now = time.monotonic()
        self._left = min(_MESSAGES_PER_S, self._left + (now - self._at) * _MESSAGES_PER_S)
        self._at = now
        self._left -= 1 + size_bytes / _BYTES_PER_MESSAGE
        if self._left < 0:
            await anyio.sleep(-self._left / _MESSAGES_PER_S)
