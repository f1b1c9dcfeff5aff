"""Spans wait in a bounded queue and are sent by a thread: the caller never waits, and sees it only in the counts."""

import atexit
import logging
import os
import random as randomness
import sys
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mcp_observatory.forking import survives_fork
from mcp_observatory.trace_context import TraceContext

log = logging.getLogger("mcp_observatory")
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
SHORTEST_REQUEST_S = 0.2


class SendAgain(Exception):
    """Nothing is lost: the same spans may be sent again, not before `after_s`."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s


class SendSmaller(Exception):
    """Halves of it may be taken. One span alone that can't be taken is dropped, for the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotTaken(Exception):
    """These spans will never be taken. `final`: nor will any other."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final


@dataclass(frozen=True, slots=True)
class ExportCounts:
    """`exported` is what the caller gave; each of those was sent, dropped for a reason, or is waiting."""

    exported: int
    sent: int
    waiting: int
    dropped: Mapping[str, int]

    @property
    def lost(self) -> int:
        return sum(self.dropped.values())


class BackgroundExporter(ABC):
    """An exporter with a queue and a thread. A forked child begins with an empty queue: the parent sends its own.

    Units: seconds. `retry_for_s` bounds how long one batch is tried, `exit_timeout_s` how long close() and the end of
    the process wait. Locks: one, never held while sending.
    """

    _thread: threading.Thread | None
    _close_by: float | None
    _closed_for: str | None
    _exported: int

    def __init__(
        self,
        *,
        queue_size: int = 10_000,
        batch_size: int = 500,
        interval_s: float = 1.0,
        retry_for_s: float = 300.0,
        exit_timeout_s: float = 5.0,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        if not 1 <= batch_size <= queue_size:
            raise ValueError("batch_size is at least 1 and at most queue_size")
        self._queue_size = queue_size
        self._batch_size = batch_size
        self._interval_s = interval_s
        self._retry_for_s = retry_for_s
        self._exit_timeout_s = exit_timeout_s
        self._random = random
        self._forget()
        survives_fork(self)
        _open.add(self)

    @abstractmethod
    def send(self, spans: Sequence[TraceContext]) -> int:
        """All are delivered; answers how many of them were refused. Raises SendAgain, SendSmaller or NotTaken."""

    @property
    def counts(self) -> ExportCounts:
        with self._wake:
            waiting = len(self._queue) + self._in_flight
            return ExportCounts(self._exported, self._sent, waiting, dict(self._dropped))

    def export(self, span: TraceContext) -> None:
        """The span waits to be sent, or is counted as dropped. Returns at once."""
        with self._wake:
            self._exported += 1
            reason = self._closed_for or ("queue_full" if len(self._queue) >= self._queue_size else None)
            if reason is not None:
                self._dropped[reason] += 1
                return
            self._queue.append(span)
            if len(self._queue) in (1, self._batch_size):
                self._wake.notify_all()
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
            self._thread = thread
        self._start(thread)

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until nothing is waiting, sent or dropped; False where the time was over before."""
        with self._wake:
            self._flushing += 1
            self._wake.notify_all()
            try:
                return self._wake.wait_for(self._is_idle, timeout)
            finally:
                self._flushing -= 1

    def close(self) -> None:
        """What waits is sent within `exit_timeout_s`, else dropped; later spans are dropped."""
        self._stop()
        self._join()

    def after_fork(self) -> None:
        self._forget()

    @abstractmethod
    def disconnect(self) -> None:
        """What the exporter holds open is closed. Called by close()."""

    def time_left_s(self, longest_s: float) -> float:
        """How long one request may take: less than usual at the end."""
        close_by = self._close_by
        return longest_s if close_by is None else max(SHORTEST_REQUEST_S, min(longest_s, close_by - time.monotonic()))

    def warn_once(self, key: str, words: str, *values: object) -> None:
        if key not in self._warned:
            self._warned.add(key)
            log.warning(words, *values)

    def _forget(self) -> None:
        self._wake = threading.Condition()
        self._queue: deque[TraceContext] = deque()
        self._in_flight = 0
        self._flushing = 0
        self._thread = None
        self._closed_for = None
        self._close_by = None
        self._exported = 0
        self._sent = 0
        self._dropped: Counter[str] = Counter()
        self._warned: set[str] = set()

    def _start(self, thread: threading.Thread) -> None:
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is ending, or the machine has no thread left: close() sends in its own.
            with self._wake:
                self._thread = None

    def _is_idle(self) -> bool:
        return not self._queue and not self._in_flight

    def _run(self) -> None:
        while batch := self._next_batch():
            self._deliver(batch)
            with self._wake:
                self._in_flight = 0
                self._wake.notify_all()

    def _next_batch(self) -> list[TraceContext]:
        """The oldest spans: as soon as they fill a batch, somebody flushes, or the first has waited long enough.

        None of them: the exporter is closed and everything was sent.
        """
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._close_by is not None)
            self._wake.wait_for(self._is_due, self._interval_s)
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch_size))]
            self._in_flight = len(batch)
            return batch

    def _is_due(self) -> bool:
        return bool(len(self._queue) >= self._batch_size or self._flushing or self._close_by is not None)

    def _deliver(self, batch: list[TraceContext]) -> None:
        """Each span of the batch is sent or counted as dropped."""
        give_up_at = time.monotonic() + self._retry_for_s
        parts, attempt = [batch], 0
        while parts:
            part = parts.pop()
            try:
                refused = self.send(part)
                self._settle(len(part) - refused, "refused", refused)
                attempt = 0
            except SendAgain as why:
                parts.append(part)
                backoff_s = self._random() * min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(attempt, 16))
                self.warn_once("again", "spans can't be sent now (%s); they wait and are sent again", why.reason)
                if not self._pause(why.after_s, backoff_s, give_up_at):
                    self._settle(0, "not_delivered", sum(map(len, parts)))
                    return
                attempt += 1
            except SendSmaller as why:
                parts += self._halves(part, why.reason)
            except NotTaken as why:
                self.warn_once(why.reason, "spans are not taken: %s", why.reason)
                self._settle(0, why.reason, len(part))
                if why.final:
                    self._end_for(why.reason, sum(map(len, parts)))
                    return
            except Exception as error:
                # Of a span that somebody filled with what it can't hold; the others of its batch are not at fault.
                self.warn_once("failed", "spans were lost: %s in the exporter", type(error).__name__)
                parts += self._halves(part, "failed")

    def _halves(self, part: list[TraceContext], reason: str) -> list[list[TraceContext]]:
        """What to try in its place; nothing of one span alone, which is dropped."""
        if len(part) == 1:
            self._settle(0, reason, 1)
            return []
        return [part[len(part) // 2 :], part[: len(part) // 2]]

    def _pause(self, told_s: float, backoff_s: float, give_up_at: float) -> bool:
        """True when the time to send again has come; False where that would be after the end.

        Never earlier than told. Who closes meanwhile gets one more attempt at once, where nothing was told.
        """
        began = time.monotonic()
        told, at = began + told_s, began + told_s + backoff_s
        with self._wake:
            was_closing = self._close_by is not None
            while True:
                now, close_by = time.monotonic(), self._close_by
                if close_by is not None and not was_closing and now >= told:
                    return True
                limit = give_up_at if close_by is None else min(give_up_at, close_by)
                if at > limit:
                    return False
                if now >= at:
                    return True
                self._wake.wait(at - now)

    def _settle(self, sent: int, reason: str, dropped: int) -> None:
        with self._wake:
            self._sent += sent
            self._in_flight -= sent + dropped
            if dropped:
                self._dropped[reason] += dropped

    def _end_for(self, reason: str, in_hand: int) -> None:
        """Nothing more is sent: what waits and what comes is dropped, for this reason."""
        with self._wake:
            self._closed_for = reason
            self._in_flight -= in_hand
            self._drop_queue(reason, in_hand)

    def _drop_queue(self, reason: str, besides: int = 0) -> None:
        if count := len(self._queue) + besides:
            self._dropped[reason] += count
        self._queue.clear()

    def _stop(self) -> None:
        with self._wake:
            self._closed_for = self._closed_for or "closed"
            if self._close_by is None:
                self._close_by = time.monotonic() + self._exit_timeout_s
            self._wake.notify_all()

    def _join(self) -> None:
        """The thread has ended, or the time for it is over; what waits still is dropped."""
        thread, close_by = self._thread, self._close_by
        if thread is None:
            self._run()
        elif thread is not threading.current_thread() and close_by is not None:
            # A little longer, in which it says what became of the last batch.
            thread.join(max(0.0, close_by - time.monotonic()) + SHORTEST_REQUEST_S)
        with self._wake:
            self._drop_queue("closed")
        self.disconnect()


_open: weakref.WeakSet[BackgroundExporter] = weakref.WeakSet()


def _close_all() -> None:
    """All at once, so that many take no longer than one."""
    exporters = list(_open)
    for exporter in exporters:
        exporter._stop()
    for exporter in exporters:
        exporter._join()


class _ChildrenOfMultiprocessing:
    """They end without running what atexit knows, so multiprocessing, where it is in use, is told too."""

    def __init__(self) -> None:
        self._told = False

    def before_fork(self) -> None:
        util = sys.modules.get("multiprocessing.util")
        if util is not None and not self._told:
            self._told = True
            # Not earlier: a child of multiprocessing begins by forgetting what is to be done at its end.
            util.register_after_fork(self, lambda _: util.Finalize(None, _close_all, exitpriority=100))


_children = _ChildrenOfMultiprocessing()
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_children.before_fork)
