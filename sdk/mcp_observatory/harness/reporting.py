"""What ran in this process is told to an observatory, in order and beside the run, which never waits for it."""

import asyncio
import logging
from typing import Any

from mcp_observatory.errors import ObservatoryError, ToolCallError
from mcp_observatory.harness.records import MCPSession, MCPStep, plain
from mcp_observatory.tool_client import ToolClient

log = logging.getLogger("mcp_observatory.harness")
MOST_WAITING = 10_000
# The server takes no more a step.
MOST_SIGNALS = 100


class Reporter:
    """Tells of sessions to one server. Units: at a session's end it waits at most `ending_s` for what is untold."""

    def __init__(self, server: ToolClient, *, ending_s: float = 30.0) -> None:
        self._server = server
        self._ending_s = ending_s

    async def open(self, session: MCPSession) -> "Reported":
        """The server has the session. Raises ToolCallError: who wants reports is told at once that there are none."""
        await asyncio.to_thread(
            self._server.open_session,
            session.model,
            session_id=session.session_id,
            provider=session.provider,
            policy=session.policy,
            guardrails=session.guardrails,
            reported=True,
        )
        return Reported(self._server, session, self._ending_s)


class Reported:
    """One session's reports. What can't be told is counted in `reports_lost` of the session."""

    def __init__(self, server: ToolClient, session: MCPSession, ending_s: float) -> None:
        self._server = server
        self._session = session
        self._ending_s = ending_s
        self._waiting: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._telling = asyncio.create_task(self._tell_all())

    def tell(self, step: MCPStep) -> None:
        """The step is told soon. Masked already, so that the server sees no more than a record would."""
        if self._telling.done() or self._waiting.qsize() >= MOST_WAITING:
            self._session.reports_lost += 1
            return
        self._waiting.put_nowait(_report(step))

    async def close(self) -> None:
        """What waited is told or counted as lost, and the server's session is closed."""
        self._waiting.put_nowait(None)
        _, unfinished = await asyncio.wait({self._telling}, timeout=self._ending_s)
        if unfinished:
            self._telling.cancel()
            self._session.reports_lost += max(self._waiting.qsize(), 1)
        try:
            await asyncio.to_thread(self._server.close_session, self._session.session_id)
        except ObservatoryError as error:
            log.warning("the report of session %s was not closed: %s", self._session.session_id, _words(error))
        if self._session.reports_lost:
            log.warning("%d steps of session %s were not told", self._session.reports_lost, self._session.session_id)

    async def _tell_all(self) -> None:
        while (report := await self._waiting.get()) is not None:
            try:
                await asyncio.to_thread(self._server.take_step, self._session.session_id, report)
            except ObservatoryError as error:
                self._session.reports_lost += 1
                log.info("a step of session %s was not told: %s", self._session.session_id, _words(error))


def _report(step: MCPStep) -> dict[str, Any]:
    """The step as POST /sessions/<id>/steps takes one that ran elsewhere."""
    asked = {
        "role": step.role,
        "input_text": step.input_text,
        "tool_name": step.selected_tool,
        "tool_args": step.tool_args,
        "tokens_in": step.tokens_in,
        "tokens_out": step.tokens_out,
    }
    outcome = {
        "decision": step.decision,
        "reason": step.reason,
        "output_text": step.output_text,
        "error": step.error,
        "latency_ms": step.latency_ms,
        "dry_run": step.dry_run,
        "guardrail_signals": step.guardrail_signals[:MOST_SIGNALS],
    }
    told = {name: value for name, value in asked.items() if value is not None}
    found: dict[str, Any] = plain(
        told | {"outcome": {name: value for name, value in outcome.items() if value is not None}}
    )
    return found


def _words(error: ObservatoryError) -> str:
    """The error's kind, status and code: never its sentence, which is the server's own."""
    if isinstance(error, ToolCallError):
        return f"{type(error).__name__} {error.status} {error.code}"
    return type(error).__name__
