"""One event loop in a thread of its own, for what must outlive a request; one a process, and ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any

_LONGEST_END_S = 5.0


class Background:
    """A loop that runs. What is handed to it begins in an empty context: nothing of a request's leaks into it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="mcp-upstreams", daemon=True)
        self._thread.start()

    def start(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """The coroutine runs in the loop. Raises RuntimeError where the loop has ended."""
        self.loop.call_soon_threadsafe(self._start, make, context=contextvars.Context())

    def do(self, act: Callable[..., object], *arguments: object) -> None:
        """The same for a plain function."""
        self.loop.call_soon_threadsafe(act, *arguments, context=contextvars.Context())

    def end(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """The loop does this last thing and ends; waited for, but not for ever."""

        async def finish() -> None:
            try:
                async with asyncio.timeout(_LONGEST_END_S):
                    await last()
            except TimeoutError:
                pass
            finally:
                self.loop.stop()

        with contextlib.suppress(RuntimeError):
            self.start(finish)
        self._thread.join(_LONGEST_END_S + 1)

    def _start(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self.loop.create_task(make())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            if left:
                self.loop.run_until_complete(asyncio.wait(left, timeout=1))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()
