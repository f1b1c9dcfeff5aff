"""One call to an upstream, from the loop's side: settled exactly once, and in time whatever the upstream does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

from tools.contract import Progress
from tools.upstreams.answers import Offer, OutcomeUnknown, Refused, Unreachable
from tools.upstreams.exchange import CURRENT, LARGEST_EXCHANGE_BYTES, Exchange, Why
from tools.upstreams.lines import Lines
from tools.upstreams.session import Rubbish, Session
from tools.upstreams.target import Target
from tools.upstreams.verdict import SessionLost, of_error, of_failure

log = logging.getLogger(__name__)

# Baggage is not among them: it is for this installation's own services.
_TRACE = ("traceparent", "tracestate")
_LONGEST_PROGRESS_TEXT = 500
_PROGRESS_BURST = 50
_PROGRESS_PER_S = 10.0
MOST_TOOLS = 2_000
MOST_PAGES = 50


class Call:
    """`answer` gets the raw result, or why there is none."""

    def __init__(
        self, target: Target, name: str, arguments: Mapping[str, Any], timeout_s: float, meta: Mapping[str, Any]
    ) -> None:
        self.answer: Future[dict[str, Any]] = Future()
        self.progress: Progress | None = None
        self._target = target
        self._name = name
        self._arguments = arguments
        self._deadline = time.monotonic() + timeout_s
        self._meta = meta
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[Any] | None = None
        self._allowance = _Allowance()

    async def run(self, lines: Lines) -> None:
        self._task = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(
            self._deadline - time.monotonic(), self.give_up, Why.TIMEOUT, "It did not answer in time."
        )
        try:
            if not self.answer.done():
                self._settle(await self._asked(lines))
        except (Unreachable, Refused, OutcomeUnknown) as answer:
            self._settle(answer)
        except Exception:  # whatever the package or a transport raises: it must not pass for an answer
            log.exception("a call to upstream %s failed in a way that is not foreseen", self._target.name)
        finally:
            timer.cancel()
            self._settle(self._given_up(Why.BROKEN, "The call was given up."))

    def give_up(self, why: str, detail: str) -> None:
        """Nobody waits any longer: the upstream is told, without making the caller wait for that."""
        if self.answer.done():
            return
        if self._exchange is not None:
            # What is not written by now never is: otherwise "it was not asked" could turn out to be wrong.
            self._exchange.end()
        self._settle(self._given_up(why, detail))
        if self._task is not None:
            self._task.cancel()

    def _given_up(self, why: str, detail: str) -> Exception:
        if self._exchange is not None and self._exchange.written:
            return OutcomeUnknown(why, detail)
        return Unreachable("It was not asked: the call ended before.")

    async def _asked(self, lines: Lines) -> dict[str, Any]:
        for is_last in (False, True):
            wait_s = min(self._target.timeout_s, self._deadline - time.monotonic())
            async with lines.connected(self._target, wait_s) as (connection, session):
                try:
                    return await self._exchanged(session, connection)
                except SessionLost:
                    # Nothing ran, so the call may go the same way once more.
                    connection.retire()
                    if is_last:
                        raise Unreachable("It forgets every session.") from None
                except Unreachable:
                    if self._exchange is None or not self._exchange.was_turned_away:
                        # A new connection begins anew; this one may be of a server that is gone.
                        connection.retire()
                    raise
        raise AssertionError

    async def _exchanged(self, session: Session, connection: Any) -> dict[str, Any]:
        trace = {key: self._meta[key] for key in _TRACE if key in self._meta}
        exchange = self._exchange = Exchange(self._deadline, trace=trace, wake=self._woken)
        CURRENT.set(exchange)
        try:
            progress = self._on_progress if self.progress is not None else None
            try:
                return await session.call(self._name, self._arguments, self._meta, progress)
            except MCPError as error:
                if error.error.code != types.jsonrpc.HEADER_MISMATCH or not session.is_modern:
                    raise
                # It wants arguments in headers too, and which they are stands in its list. Nothing ran.
                with contextlib.suppress(Rubbish):
                    await _listed(session, exchange, connection)
                return await session.call(self._name, self._arguments, self._meta, progress)
        except MCPError as error:
            has_ended = connection.inbound.ended.is_set()
            raise of_error(exchange, error.error, _why_ended(connection) if has_ended else None) from None
        finally:
            exchange.end()

    def _woken(self) -> None:
        """A transport knows that no answer will come."""
        verdict = of_failure(self._exchange) if self._exchange is not None else None
        if verdict is not None and self._task is not None:
            self._settle(verdict if not isinstance(verdict, SessionLost) else Unreachable("It lost the session."))
            self._task.cancel()

    def _settle(self, outcome: dict[str, Any] | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)

    async def _on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        if self.progress is None or self.answer.done() or not self._allowance.take():
            return
        if math.isfinite(progress) and (total is None or math.isfinite(total)):
            self.progress(progress, total, (message or "")[:_LONGEST_PROGRESS_TEXT])


class _Allowance:
    """How much progress of one call is passed on: a burst, then a few a second."""

    def __init__(self) -> None:
        self._left = float(_PROGRESS_BURST)
        self._at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(_PROGRESS_BURST, self._left + (now - self._at) * _PROGRESS_PER_S)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


async def offered(lines: Lines, target: Target) -> Offer:
    """Everything the upstream lists. Raises Unreachable."""
    for is_last in (False, True):
        async with lines.connected(target, target.timeout_s) as (connection, session):
            exchange = Exchange(time.monotonic() + target.timeout_s)
            CURRENT.set(exchange)
            try:
                async with asyncio.timeout(target.timeout_s):
                    tools = await _listed(session, exchange, connection)
                return Offer(tools, session.protocol_version, *session.server)
            except TimeoutError:
                raise Unreachable("It did not list its tools in time.") from None
            except Rubbish as error:
                raise Unreachable(str(error)) from None
            except MCPError as error:
                verdict = of_error(exchange, error.error, _why_ended(connection) if not connection.is_open else None)
                connection.retire()
                if is_last or not isinstance(verdict, SessionLost):
                    raise Unreachable(_without_words_of_its_own(verdict)) from None
            finally:
                exchange.end()
    raise AssertionError


async def _listed(session: Session, exchange: Exchange, connection: Any) -> list[Mapping[str, Any]]:
    tools: list[Mapping[str, Any]] = []
    cursors: set[str] = set()
    cursor: str | None = None
    read_before = connection.inbound.bytes_read
    for _ in range(MOST_PAGES):
        page, cursor = await session.page(cursor)
        tools += page
        if len(tools) > MOST_TOOLS:
            raise Rubbish(f"It lists more than {MOST_TOOLS} tools.")
        if connection.inbound.bytes_read - read_before > LARGEST_EXCHANGE_BYTES:
            raise Rubbish("Its list of tools is too large.")
        if cursor is None:
            return tools
        if cursor in cursors:
            raise Rubbish("Its list of tools has no end.")
        cursors.add(cursor)
    raise Rubbish(f"Its list of tools has more than {MOST_PAGES} pages.")


def _why_ended(connection: Any) -> Why:
    return connection.inbound.failure or Why.BROKEN


def _without_words_of_its_own(verdict: Exception) -> str:
    """Texts of Unreachable are ours."""
    return str(verdict) if isinstance(verdict, Unreachable) else "It did not list its tools."
