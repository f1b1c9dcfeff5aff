"""The door to the upstreams for everybody else: plain functions, over connections that are kept open in the background.

One event loop a process, started by the first call; a process made by fork starts its own.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any

from telemetry.egress.asynchronous import forget_sockets
from tools.cancellation import Cancellation
from tools.contract import Progress
from tools.upstreams.answers import CallAnswer, Offer, OutcomeUnknown, Unreachable
from tools.upstreams.asking import Call, offered
from tools.upstreams.background import Background
from tools.upstreams.exchange import Why
from tools.upstreams.lines import Lines
from tools.upstreams.target import Target
from tools.upstreams.verdict import answer_of

log = logging.getLogger(__name__)

# Past its own deadline, the loop itself must be stuck.
_LOOP_STUCK_S = 5.0


class Pool:
    """`on_list_changed` is called in the loop's thread, with an upstream's id; it must be quick."""

    def __init__(self) -> None:
        self.on_list_changed: Callable[[int], None] | None = None
        self._lock = threading.Lock()
        self._running: tuple[Background, Lines] | None = None
        # What a fork left behind: never touched again, and never collected, for its loop is the parent's.
        self._parents: list[object] = []

    def call(  # noqa: PLR0913 (each is one thing that a call may bring)
        self,
        target: Target,
        tool_name: str,
        arguments: Mapping[str, Any],
        *,
        timeout_s: float,
        meta: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        cancellation: Cancellation | None = None,
    ) -> CallAnswer:
        """The upstream's answer. Raises Unreachable, Refused or OutcomeUnknown, within `timeout_s` and a little."""
        call = Call(target, tool_name, arguments, timeout_s, meta or {})
        call.progress = progress
        background, lines = self._background()
        background.start(lambda: call.run(lines))
        if cancellation is not None:
            cancellation.then(lambda: _quietly(background, call.give_up, "cancelled", "The call was cancelled."))
        try:
            raw = call.answer.result(timeout_s + _LOOP_STUCK_S)
        except TimeoutError:
            raise OutcomeUnknown(Why.TIMEOUT, "It did not answer in time.") from None
        return answer_of(raw)

    def offer(self, target: Target) -> Offer:
        """All that the upstream lists, unchecked. Raises Unreachable."""
        answer: Future[Offer] = Future()

        async def ask() -> None:
            try:
                answer.set_result(await offered(lines, target))
            except Unreachable as error:
                answer.set_exception(error)
            except Exception:  # whatever the package or a transport raises: it must not pass for an answer
                log.exception("upstream %s could not be listed, in a way that is not foreseen", target.name)
            finally:
                if not answer.done():
                    answer.set_exception(Unreachable("It did not list its tools."))

        background, lines = self._background()
        background.start(ask)
        try:
            return answer.result(2 * target.timeout_s + _LOOP_STUCK_S)
        except TimeoutError:
            raise Unreachable("It did not list its tools in time.") from None

    def forget(self, upstream_id: int) -> None:
        """Its connections are closed; one that a call still uses, after that call."""
        with self._lock:
            running = self._running
        if running is not None:
            _quietly(running[0], running[1].forget, upstream_id)

    def close(self) -> None:
        """Every connection is closed and the loop has ended. A later call starts a new one."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            background, lines = running

            def last() -> Coroutine[Any, Any, None]:
                return lines.close()

            background.end(last)

    def after_fork(self) -> None:
        """In a child: the parent's loop and connections are left alone. Another thread may have held the lock."""
        self._lock = threading.Lock()
        if self._running is not None:
            self._parents.append(self._running)
            self._running = None
        forget_sockets()

    def _background(self) -> tuple[Background, Lines]:
        with self._lock:
            if self._running is None:
                self._running = (Background(), Lines(self._tell))
            return self._running

    def _tell(self, upstream_id: int) -> None:
        if self.on_list_changed is not None:
            self.on_list_changed(upstream_id)


def _quietly(background: Background, act: Callable[..., object], *arguments: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and all that it held
        background.do(act, *arguments)


POOL = Pool()
os.register_at_fork(after_in_child=POOL.after_fork)
atexit.register(POOL.close)
