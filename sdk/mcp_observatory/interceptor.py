"""Calls of models and tools become spans, sums and alerts. What goes wrong here never reaches the caller."""

import asyncio
import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, Unpack, cast, overload

from mcp_observatory.exporters.exporter import Exporter
from mcp_observatory.facts import Facts, check_names, tell
from mcp_observatory.prices import Price, PriceTable, as_cost
from mcp_observatory.running_sums import RunningSums, alerts, thresholds
from mcp_observatory.tokens import TokenCounter
from mcp_observatory.trace_context import Kind, TokenSource, TraceContext, current_span, enter, leave, parent_of
from mcp_observatory.usage import Usage, answer_text, reported_usage, token_count

log = logging.getLogger("mcp_observatory")
T = TypeVar("T")
P = ParamSpec("P")
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITTEN = "gen_ai.usage.cache_creation.input_tokens"
# Reading takes a second at most; beyond that a call would wait for whatever else keeps the program's threads busy.
LONGEST_PREPARE_S = 1.0
# The best first.
_SOURCES: tuple[TokenSource, ...] = ("reported", "tiktoken", "estimate")


class OpenSpan:
    """`with` it: the span is current inside, and ends, errors noted by class name, with the block.

    A `deferred` one is finished by whoever deferred it.
    """

    def __init__(self, interceptor: "MCPInterceptor", span: TraceContext) -> None:
        self.span = span
        self.deferred = False
        self._interceptor = interceptor

    def __enter__(self) -> TraceContext:
        self._token = enter(self.span)
        self.start()
        return self.span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._interceptor.quietly(self.stop)
        leave(self._token)
        if kind is not None:
            self.span.error_type = kind.__name__
        if not self.deferred:
            self._interceptor.finish(self.span)

    def start(self) -> None:
        """The span begins now: what was before in the block is not of its time."""
        self.span.start_time = datetime.now(UTC)
        self._began = time.perf_counter()

    def stop(self) -> None:
        """The span ends now, unless it has: what follows in the block is not of its time."""
        if self.span.end_time is None:
            self.span.end_time = self.span.start_time + timedelta(seconds=time.perf_counter() - self._began)


class MCPInterceptor:
    """Counts every call of this process and hands its span to the exporter. Safe between threads and tasks.

    `errors` counts what went wrong in telemetry itself.
    """

    def __init__(
        self,
        service_name: str,
        exporter: Exporter | None = None,
        *,
        alert_thresholds: Mapping[str, float | None] | None = None,
        price: Price | None = None,
    ) -> None:
        if not service_name:
            raise ValueError("service_name says who reports; it is not empty")
        self.service_name = service_name
        self.exporter = exporter
        self.errors = 0
        self._thresholds = thresholds(alert_thresholds)
        self._price = price
        self._table = PriceTable()
        self._tokens = TokenCounter()
        self._sums = RunningSums()
        self._complained = False

    def span(
        self,
        kind: Kind = "other",
        *,
        name: str | None = None,
        model: str | None = None,
        tool_name: str | None = None,
        parent: TraceContext | str | None = None,
    ) -> OpenSpan:
        """A span for a `with` block, under the current one, under `parent`, or first of a trace."""
        above = parent_of(parent)
        span = TraceContext(self.service_name, kind, name, model=model, tool_name=tool_name)
        if above is not None:
            span.trace_id, span.parent_span_id, span.trace_flags = above.trace_id, above.span_id, above.trace_flags
        return OpenSpan(self, span)

    @overload
    async def intercept_model_call(
        self,
        model: str,
        prompt: Any = None,
        *,
        call: Callable[[], Awaitable[T]],
        facts_of: Callable[[T], Facts] | None = None,
        **facts: Unpack[Facts],
    ) -> T: ...

    @overload
    async def intercept_model_call(
        self,
        model: str,
        prompt: Any = None,
        *,
        call: Callable[[], T],
        facts_of: Callable[[T], Facts] | None = None,
        **facts: Unpack[Facts],
    ) -> T: ...

    @overload
    async def intercept_model_call(
        self, model: str, prompt: Any = None, *, response: T, **facts: Unpack[Facts]
    ) -> T: ...

    async def intercept_model_call(
        self,
        model: str,
        prompt: Any = None,
        *,
        call: Callable[[], Any] | None = None,
        response: Any = None,
        facts_of: Callable[[Any], Facts] | None = None,
        **facts: Unpack[Facts],
    ) -> Any:
        """The answer, recorded: of `call`, run and timed, or the `response` that was had already.

        `facts_of` reads further facts from the answer, its confidence for one. An error of `call` is recorded by its
        class name and raised as it is. Raises TypeError, before anything runs, for a fact that does not exist.
        """
        check_names(facts)
        if call is None:
            await self._prepare(model)
            return self.record_model_call(model, prompt, response=response, **facts)
        opened = self.span("model_call", model=model, parent=facts.get("parent"))
        return await self.run_model_call(opened, prompt, call, facts, facts_of)

    async def run_model_call(
        self,
        opened: OpenSpan,
        prompt: Any,
        call: Callable[[], Any],
        facts: Facts,
        facts_of: Callable[[Any], Facts] | None = None,
    ) -> Any:
        """The answer of the call, run inside the span, which says how long it took and what is told of it."""
        with opened as span:
            try:
                await self._prepare(span.model or "")
                opened.start()
                self.quietly(tell, span, facts)
                answer = call()
                if inspect.isawaitable(answer):
                    answer = await answer
            except BaseException:
                self.quietly(opened.stop)
                self.quietly(self._measure, span, prompt, None, facts)
                raise
            self.quietly(opened.stop)
            self.quietly(self._measure, span, prompt, answer, facts)
            if facts_of is not None:
                self.quietly(_tell_of, span, facts_of, answer)
        return answer

    def record_model_call(self, model: str, prompt: Any = None, *, response: T, **facts: Unpack[Facts]) -> T:
        """The response, of a call that ended already, recorded."""
        check_names(facts)
        opened = self.span("model_call", model=model, parent=facts.get("parent"))
        with opened as span:
            opened.stop()
            self.quietly(tell, span, facts)
            self.quietly(self._measure, span, prompt, response, facts)
        return response

    def tool(self, name: str | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Decorates a tool, async or not: each call is a span of the function's name, or of the one given."""

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            return reported(self, function, name or function.__name__)

        return decorate

    def finish(self, span: TraceContext) -> None:
        """The span is priced, counted and handed to the exporter. Never raises."""
        self.quietly(self._complete, span)
        self.quietly(self._sums.add, span)
        if self.exporter is not None:
            self.quietly(self.exporter.export, span)

    def prepare(self, model: str) -> None:
        """Prices and the model's encoding are in memory, as otherwise its first call would have them read: a second."""
        self.quietly(self._table.prepare)
        self.quietly(self._tokens.prepare, model)

    def get_metrics_snapshot(self) -> dict[str, float]:
        """The eleven figures over all calls since the start; 0.0 where there is nothing to divide by."""
        return self._sums.snapshot()

    def get_active_alerts(self) -> list[str]:
        """`<metric>_above_threshold` for each figure of the snapshot that is above its threshold."""
        return alerts(self._sums.snapshot(), self._thresholds)

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until the exporter has nothing waiting; False where the time was over before."""
        return self.exporter is None or self.exporter.flush(timeout)

    def close(self) -> None:
        """The exporter sends what it can and is closed."""
        if self.exporter is not None:
            self.exporter.close()

    def quietly(self, act: Callable[..., object], *args: object) -> None:
        """It is done, or its error counted and, the first time, named in the log: never the caller's."""
        try:
            act(*args)
        except Exception as error:
            self.errors += 1
            if not self._complained:
                self._complained = True
                # By its class name: an error's text may repeat what was said.
                log.warning("telemetry of %s failed: %s", self.service_name, type(error).__name__)

    async def _prepare(self, model: str) -> None:
        """Tables are read in a thread, that once, so that the loop goes on. Where no thread is free the call is."""
        if self._table.is_ready and self._tokens.is_ready(model):
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # another loop than asyncio's
            self.prepare(model)
        else:
            reading = asyncio.ensure_future(self._prepare_in_thread(model))
            await asyncio.wait({reading}, timeout=LONGEST_PREPARE_S)

    async def _prepare_in_thread(self, model: str) -> None:
        """The program's own threads: they may all be busy, or shut down."""
        try:
            await asyncio.to_thread(self.prepare, model)
        except RuntimeError:
            self.prepare(model)

    def _measure(self, span: TraceContext, prompt: Any, answer: Any, facts: Facts) -> None:
        """Tokens: as reported, else counted. The weaker of two sources is the source."""
        reported = reported_usage(facts.get("usage")) or reported_usage(answer) or Usage()
        model, sources = span.model or "", list[TokenSource]()
        for name, told, content in (
            ("prompt_tokens", token_count(facts.get("prompt_tokens")), prompt),
            ("completion_tokens", token_count(facts.get("completion_tokens")), _said(answer)),
        ):
            count: int | None = told if told is not None else getattr(reported, name)
            source: TokenSource = "reported"
            if count is None and content is not None:
                count, source = self._tokens.count(content, model)
            if count is not None:
                setattr(span, name, count)
                sources.append(source)
        span.token_source = max(sources, key=_SOURCES.index, default=None)
        for attribute, cached in (
            (CACHE_READ, reported.cache_read_tokens),
            (CACHE_WRITTEN, reported.cache_write_tokens),
        ):
            if cached:
                span.attributes[attribute] = cached

    def _complete(self, span: TraceContext) -> None:
        """The span's fields agree with each other, and it has its price."""
        if span.end_time is None or span.end_time < span.start_time:
            span.end_time = span.start_time
        if span.error_type and span.golden_passed:
            span.golden_passed = False
        span.cost_usd = as_cost(span.cost_usd)
        if span.kind != "tool_call" and span.model and span.cost_usd is None:
            self._set_price(span)

    def _set_price(self, span: TraceContext) -> None:
        if self._price is not None:
            span.cost_usd = as_cost(self._price(span))
            return
        usage = Usage(
            span.prompt_tokens,
            span.completion_tokens,
            token_count(span.attributes.get(CACHE_READ)) or 0,
            token_count(span.attributes.get(CACHE_WRITTEN)) or 0,
        )
        span.cost_usd = self._table.cost(span.model or "", span.provider, usage, span.start_time)


def instrument(
    service_name: str,
    exporter: Exporter | None = None,
    *,
    alert_thresholds: Mapping[str, float | None] | None = None,
    price: Price | None = None,
) -> MCPInterceptor:
    """An interceptor that reports as `service_name`; without an exporter it only counts.

    `alert_thresholds` replaces bounds by metric, None takes one away. `price` answers a finished call's cost in USD, in
    the place of the table that comes with the extra `prices`.
    """
    return MCPInterceptor(service_name, exporter, alert_thresholds=alert_thresholds, price=price)


def reported(interceptor: MCPInterceptor, function: Callable[P, T], tool_name: str) -> Callable[P, T]:
    """The function, each of whose calls is a span; not another one where the server's instrumentation opened it."""

    def opened() -> AbstractContextManager[object]:
        above = current_span()
        if above is not None and above.kind == "tool_call" and above.tool_name == tool_name:
            return nullcontext()
        return interceptor.span("tool_call", tool_name=tool_name)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with opened():
                return await function(*args, **kwargs)

        return cast(Callable[P, T], call_async)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with opened():
            return function(*args, **kwargs)

    return call


def _tell_of(span: TraceContext, facts_of: Callable[[Any], Facts], answer: Any) -> None:
    facts = facts_of(answer)
    check_names(facts)
    tell(span, facts)


def _said(answer: Any) -> Any:
    """What is to be counted of an answer."""
    text = answer_text(answer)
    return answer if text is None else text
