"""Sessions whose checks run in this process, against any MCP client. Needs the extra `harness`."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from mcp_observatory.errors import Conflict
from mcp_observatory.guards.session_policy import STEP_LIMIT, judge, looks_like_network
from mcp_observatory.harness.asking import Asked
from mcp_observatory.harness.clients import AnyMCPClient, Configuration
from mcp_observatory.harness.readings import output_of, text_in, tools_of
from mcp_observatory.harness.records import MCPSession, MCPStep, MCPTool, PreflightResult, SignalResult
from mcp_observatory.harness.reporting import Reported, Reporter
from mcp_observatory.harness.schemas import Schemas
from mcp_observatory.harness.screening import INPUT, OUTPUT, Screen, sentence
from mcp_observatory.harness.stepping import begun, came_back, deny, deny_schema, fail, say, stop_by, would_call
from mcp_observatory.prices import PriceTable
from mcp_observatory.usage import Usage

log = logging.getLogger("mcp_observatory.harness")
# Above this many characters the looking leaves the event loop.
_SHORT = 8_192


@dataclass(slots=True)
class _Run:
    """A session while it is open."""

    session: MCPSession
    screen: Screen
    limit: int
    tools: dict[str, MCPTool] = field(default_factory=dict)
    schemas: Schemas = field(default_factory=lambda: Schemas(()))
    reported: Reported | None = None
    begun: int = 0
    cost: Decimal = Decimal(0)
    running: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)


class LocalSessions:
    """Opens and closes the client with the first and the last session, and decides each step before it runs.

    Units: `timeout_s` bounds each answer of the client. `clock` is in seconds, `now` has a zone.
    """

    def __init__(
        self,
        client: AnyMCPClient,
        configuration: Configuration,
        reporter: Reporter | None = None,
        *,
        timeout_s: float = 60.0,
        clock: Callable[[], float] = time.perf_counter,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._configuration = configuration
        self._reporter = reporter
        self._timeout_s = timeout_s
        self._clock = clock
        self._now = now
        self._prices = PriceTable()
        self._connecting = asyncio.Lock()
        self._users = 0
        self._runs: dict[str, _Run] = {}

    async def start(self, session_id: str, preflight_texts: Iterable[str]) -> MCPSession:
        """The session is open, or refused by its preflight. Raises what the client raises, and has closed it then."""
        if session_id in self._runs:
            raise Conflict(0, "session_exists", "Session exists", "A session of this name is open.")
        run = _Run(self._new(session_id), Screen(*self._configuration.of_screen), self._configuration.limit)
        self._runs[session_id] = run
        try:
            await self._discover(run, preflight_texts)
        except BaseException:
            del self._runs[session_id]
            raise
        if not run.session.is_open:
            await self._end(run)
        log.debug("session %s is %s, with %d tools", session_id, run.session.status, len(run.tools))
        return run.session

    async def step(self, session: MCPSession, asked: Asked) -> MCPStep:
        """The step as it was decided and, where nothing forbade it, done. Raises Conflict for a session that ended."""
        if asked.idempotency_key is not None:
            raise ValueError("an idempotency key needs a server that keeps it: give a ToolClient as the client")
        run = self._run_of(session)
        if run.begun >= run.limit:
            session.steps_refused += 1
            step = begun(asked)
            deny(step, *STEP_LIMIT)
            return step
        step = begun(asked, run.begun + 1)
        run.begun += 1
        session.steps.append(step)
        run.running += 1
        run.idle.clear()
        began = self._clock()
        try:
            await self._conduct(run, step, asked)
        except asyncio.CancelledError:
            fail(step, "outcome_unknown", "The step was cut off; what came of it is not known.")
            raise
        except Exception as error:
            # A check that fails lets nothing through; of the error its kind is told, for its words may be the text's.
            fail(step, "internal_error", f"A check failed ({type(error).__name__}).")
        finally:
            step.latency_ms = (self._clock() - began) * 1000
            self._settle(run, step)
        return step

    async def close(self, session: MCPSession) -> None:
        """The session is closed, once its running steps have ended. Closing it again changes nothing."""
        run = self._runs.get(session.session_id)
        if run is None or run.session is not session or not session.is_open:
            return
        session.status = "closed"
        try:
            if run.running:
                await run.idle.wait()
        finally:
            await self._end(run)
        log.debug("session %s is closed, after %d steps", session.session_id, len(session.steps))

    def _new(self, session_id: str) -> MCPSession:
        configuration = self._configuration
        return MCPSession(
            session_id,
            configuration.model,
            configuration.rules_hash,
            provider=configuration.provider,
            policy=configuration.policy.as_json() | {"max_steps": configuration.limit},
            guardrails=configuration.guardrails.as_json(),
            max_steps=configuration.limit,
        )

    async def _discover(self, run: _Run, preflight_texts: Iterable[str]) -> None:
        """The client is open for one session more; its tools are known and looked at."""
        await self._connect()
        try:
            listing = await asyncio.wait_for(self._client.list_tools(), self._timeout_s)
            run.tools = {tool.name: tool for tool in tools_of(listing)}
            run.schemas = Schemas(run.tools.values())
            session = run.session
            session.tools_discovered = list(run.tools.values())
            descriptions = [tool.words for tool in session.tools_discovered]
            signals = await asyncio.to_thread(run.screen.preflight, descriptions, list(preflight_texts))
            session.preflight_result = PreflightResult(not sentence(signals), tuple(signals), sentence(signals))
            session.session_violations = session.preflight_result.violations
            session.status = "open" if session.preflight_result.passed else "refused"
            await asyncio.to_thread(self._prices.prepare)
            if self._reporter is not None:
                run.reported = await self._reporter.open(session)
        except BaseException:
            await self._disconnect()
            raise

    async def _connect(self) -> None:
        async with self._connecting:
            if self._users == 0:
                await self._client.connect()
            self._users += 1

    async def _disconnect(self) -> None:
        """One session less; with the last one the client is closed, whatever it says to that."""
        async with self._connecting:
            self._users -= 1
            if self._users:
                return
            try:
                await asyncio.wait_for(self._client.close(), self._timeout_s)
            except Exception as error:
                log.warning("the client did not close: %s", type(error).__name__)

    async def _end(self, run: _Run) -> None:
        try:
            if run.reported is not None:
                await run.reported.close()
        finally:
            self._runs.pop(run.session.session_id, None)
            await self._disconnect()

    def _run_of(self, session: MCPSession) -> _Run:
        run = self._runs.get(session.session_id)
        if run is None or run.session is not session or not session.is_open:
            raise Conflict(0, "session_closed", "Session closed", f"The session is {session.status}; nothing ran.")
        return run

    async def _conduct(self, run: _Run, step: MCPStep, asked: Asked) -> None:
        """Schema, policy, what is in it, the call, what came back: the first that stops it is the step's decision."""
        if asked.tool is not None and self._is_denied(run, step, asked.tool, asked.args):
            return
        found = run.screen.description(run.tools[asked.tool].words) if asked.tool is not None else []
        found += await _looked(run.screen, asked.texts, INPUT)
        if stop_by(step, found, "guardrail_input"):
            return
        if asked.tool is None:
            say(step)
            return
        if self._configuration.policy.dry_run:
            would_call(step, asked)
            return
        await self._call(run, step, asked, asked.tool)

    def _is_denied(self, run: _Run, step: MCPStep, name: str, args: Any) -> bool:
        """By the tool's schema, else by the session's policy; a tool that nobody listed is judged as the worst one."""
        policy, tool = self._configuration.policy, run.tools.get(name)
        if policy.no_network and looks_like_network(name, args):
            step.guardrail_signals.append(run.screen.network_guess())
        if problem := run.schemas.problem(name, args):
            deny_schema(step, problem)
            return True
        denial = judge(policy, name, tool.network if tool else "undeclared")
        if denial is None and tool is None:
            denial = "unknown_tool", "The client lists no such tool."
        if denial is not None:
            deny(step, *denial)
        return denial is not None

    async def _call(self, run: _Run, step: MCPStep, asked: Asked, name: str) -> None:
        try:
            answer = await asyncio.wait_for(self._client.call_tool(name, asked.args or {}), self._timeout_s)
            output = output_of(answer)
        except TimeoutError:
            fail(step, "tool_timeout", "The tool did not answer in time; it may have run.")
            return
        except Exception as error:
            fail(step, "tool_failed", f"{type(error).__name__}: {error}")
            return
        found = await _looked(run.screen, [text_in(output.content)], OUTPUT)
        if not stop_by(step, found, "output_withheld"):
            came_back(step, asked, answer, output)

    def _settle(self, run: _Run, step: MCPStep) -> None:
        """The step has its figures, the session its totals, and the observatory hears of it."""
        session = run.session
        usage = Usage(step.tokens_in, step.tokens_out)
        cost = self._prices.cost(session.model, self._configuration.provider, usage, self._now())
        step.cost_est = None if cost is None else float(cost)
        session.total_latency_ms += step.latency_ms
        session.total_tokens_in += step.tokens_in
        session.total_tokens_out += step.tokens_out
        run.cost += cost or 0
        session.total_cost_est = float(run.cost)
        session.session_violations += [signal for signal in step.violations if not signal.reused]
        run.running -= 1
        if not run.running:
            run.idle.set()
        if run.reported is not None:
            run.reported.tell(step)
        log.debug("step %d of session %s: %s, %.1f ms", step.number, session.session_id, step.decision, step.latency_ms)


async def _looked(screen: Screen, texts: list[str], stage: str) -> list[SignalResult]:
    """What was found. Long texts are read in a thread, so that others go on meanwhile."""
    if sum(map(len, texts)) <= _SHORT:
        return screen.step(texts, stage)
    return await asyncio.to_thread(screen.step, texts, stage)
