"""A call becomes a span, and the caller gets what it would have got without us."""

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from mcp_observatory import Facts, MCPInterceptor, TraceContext, current_span, current_traceparent, instrument
from mcp_observatory.exporters import MemoryExporter

CANARY = "canary-7f3a"


class Broken(MemoryExporter):
    def export(self, span: TraceContext) -> None:
        raise RuntimeError(CANARY)


@pytest.fixture
def memory() -> MemoryExporter:
    return MemoryExporter()


@pytest.fixture
def interceptor(memory: MemoryExporter) -> MCPInterceptor:
    return instrument("shop", memory)


async def answer_later() -> str:
    await asyncio.sleep(0)
    return "an answer"


def raising(error: BaseException) -> Callable[[], Any]:
    async def call() -> None:
        raise error

    return call


def test_response_that_is_given_is_recorded_and_returned(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    answer = asyncio.run(interceptor.intercept_model_call("gpt-4o", "Hello MCP", response="Hello human"))
    (span,) = memory.spans
    assert answer == "Hello human"
    assert (span.service, span.kind, span.model, span.title) == ("shop", "model_call", "gpt-4o", "chat gpt-4o")
    assert (span.prompt_tokens, span.completion_tokens, span.token_source) == (3, 3, "estimate")
    assert span.end_time is not None
    assert span.end_time >= span.start_time


@pytest.mark.parametrize("call", [answer_later, lambda: "an answer", functools.partial(answer_later)])
def test_call_is_run_and_timed(interceptor: MCPInterceptor, memory: MemoryExporter, call: Callable[[], Any]) -> None:
    answer = asyncio.run(interceptor.intercept_model_call("m", "12345", call=call, confidence=0.4, retries=2))
    (span,) = memory.spans
    assert answer == "an answer"
    assert (span.prompt_tokens, span.completion_tokens, span.confidence, span.retries) == (2, 3, 0.4, 2)
    assert span.error_type is None


def test_time_is_that_of_the_call(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    asyncio.run(interceptor.intercept_model_call("m", "p", call=lambda: asyncio.sleep(0.05)))
    (span,) = memory.spans
    assert span.end_time is not None
    assert timedelta(seconds=0.05) <= span.end_time - span.start_time < timedelta(seconds=5)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, StopAsyncIteration])
def test_error_is_recorded_by_its_class_and_raised_as_it_is(
    interceptor: MCPInterceptor, memory: MemoryExporter, kind: type[BaseException]
) -> None:
    error = kind(CANARY)

    async def main() -> BaseException:
        try:
            await interceptor.intercept_model_call("m", "p", call=raising(error), high_risk_path=True)
        except BaseException as caught:
            return caught
        raise AssertionError("nothing was raised")

    assert asyncio.run(main()) is error
    (span,) = memory.spans
    assert (span.error_type, span.high_risk_path) == (kind.__name__, True)
    assert (span.prompt_tokens, span.completion_tokens, span.cost_usd) == (1, None, None)
    assert CANARY not in repr(span)


def test_cancelled_call_is_recorded_and_stays_cancelled(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    async def main() -> None:
        begun = asyncio.Event()

        async def call() -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(interceptor.intercept_model_call("m", "p", call=call))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [span.error_type for span in memory.spans] == ["CancelledError"]


def test_exporter_that_raises_never_reaches_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    interceptor = instrument("shop", Broken())
    for _ in range(2):
        assert asyncio.run(interceptor.intercept_model_call("m", CANARY, response="yes")) == "yes"
    assert interceptor.errors == 2
    assert interceptor.get_metrics_snapshot()["total_calls"] == 2
    assert [record.getMessage() for record in caplog.records] == ["telemetry of shop failed: RuntimeError"]


def test_price_function_and_facts_function_that_raise_never_reach_the_caller(memory: MemoryExporter) -> None:
    def failing(_: Any) -> Any:
        raise RuntimeError(CANARY)

    interceptor = instrument("shop", memory, price=failing)
    answer = asyncio.run(interceptor.intercept_model_call("m", "p", call=answer_later, facts_of=failing))
    assert (answer, interceptor.errors, memory.spans[0].cost_usd) == ("an answer", 2, None)


def test_fact_that_does_not_exist_is_told_before_anything_runs(interceptor: MCPInterceptor) -> None:
    ran: list[int] = []
    with pytest.raises(TypeError, match="confidense"):
        asyncio.run(
            interceptor.intercept_model_call("m", "p", call=lambda: ran.append(1), confidense=1)  # type: ignore[call-overload]  # the mistake under test
        )
    assert not ran


def test_facts_are_read_from_the_answer(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    def facts(answer: dict[str, Any]) -> Facts:
        return {"confidence": answer["sure"], "confidence_gate_threshold": 0.5, "is_golden_financial_scenario": True}

    asyncio.run(interceptor.intercept_model_call("m", "p", call=lambda: {"sure": 0.3}, facts_of=facts))
    (span,) = memory.spans
    assert (span.confidence, span.confidence_gate_blocked, span.golden_passed) == (0.3, True, False)


@pytest.mark.parametrize(
    ("facts", "field", "value"),
    [
        ({"confidence": 0.7, "confidence_gate_threshold": 0.7}, "confidence_gate_blocked", False),
        ({"confidence": 0.69, "confidence_gate_threshold": 0.7}, "confidence_gate_blocked", True),
        ({"confidence_gate_threshold": 0.7}, "confidence_gate_blocked", None),
        ({"confidence": 0.69}, "confidence_gate_blocked", None),
        ({"confidence": float("nan")}, "confidence", None),
        ({"confidence": "high"}, "confidence", None),
        ({"confidence": 64}, "confidence", None),
        ({"prompt_diff_score": -0.1}, "prompt_diff_score", None),
        ({"confidence": 1}, "confidence", 1.0),
        ({"retries": 10**9}, "retries", 10_000),
        ({"prompt_tokens": 10**9}, "prompt_tokens", None),
        ({"shadow_agreement": False}, "shadow_agreement", False),
        ({"golden_scenario_passed": True}, "golden_passed", None),
        ({"is_golden_financial_scenario": True}, "golden_passed", False),
        ({"is_golden_financial_scenario": True, "golden_scenario_passed": True}, "golden_passed", True),
        ({"retries": -1}, "retries", 0),
        ({"cost_usd": 0.25}, "cost_usd", Decimal("0.25")),
        ({"cost_usd": -1}, "cost_usd", None),
        ({"prompt_tokens": 7}, "prompt_tokens", 7),
        ({"start_time": datetime(2026, 1, 1, tzinfo=UTC)}, "start_time", datetime(2026, 1, 1, tzinfo=UTC)),
        ({"attributes": {"gen_ai.request.temperature": 0.2}}, "attributes", {"gen_ai.request.temperature": 0.2}),
    ],
)
def test_facts_become_fields(
    interceptor: MCPInterceptor, memory: MemoryExporter, facts: Facts, field: str, value: object
) -> None:
    asyncio.run(interceptor.intercept_model_call("my-model", None, response="r", **facts))
    assert getattr(memory.spans[0], field) == value
    assert interceptor.errors == 0


def test_golden_call_that_failed_did_not_pass(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    facts: Facts = {"is_golden_financial_scenario": True, "golden_scenario_passed": True}
    with pytest.raises(ValueError, match="no"):
        asyncio.run(interceptor.intercept_model_call("m", "p", call=raising(ValueError("no")), **facts))
    assert memory.spans[0].golden_passed is False


def test_calls_nest_in_tasks_and_blocks(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    async def inner(model: str) -> None:
        await interceptor.intercept_model_call(model, "p", call=answer_later)

    async def main() -> None:
        with interceptor.span("other", name="job") as job:
            await asyncio.gather(inner("a"), inner("b"))
            assert current_span() is job
            assert current_traceparent() == job.traceparent
        await inner("c")

    asyncio.run(main())
    spans = {span.model or span.name: span for span in memory.spans}
    assert spans["a"].parent_span_id == spans["b"].parent_span_id == spans["job"].span_id
    assert spans["a"].trace_id == spans["job"].trace_id != spans["c"].trace_id
    assert (spans["job"].parent_span_id, spans["c"].parent_span_id) == (None, None)
    assert current_span() is None


def test_parent_can_be_given(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    above = TraceContext("elsewhere")
    header = f"00-{'ab' * 16}-{'cd' * 8}-00"
    interceptor.record_model_call("m", "p", response="r", parent=above)
    interceptor.record_model_call("m", "p", response="r", parent=header)
    interceptor.record_model_call("m", "p", response="r", parent="no header")
    first, second, third = memory.spans
    assert (first.trace_id, first.parent_span_id) == (above.trace_id, above.span_id)
    assert (second.trace_id, second.parent_span_id, second.traceparent[-2:]) == ("ab" * 16, "cd" * 8, "00")
    assert third.parent_span_id is None


def test_tools_are_decorated(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    @interceptor.tool()
    def add(one: int, other: int) -> int:
        return one + other

    @interceptor.tool("find")
    async def search(query: str) -> str:
        return query * add(1, 1)

    assert asyncio.run(search(CANARY)) == CANARY * 2
    with pytest.raises(TypeError):
        add(1, None)  # type: ignore[arg-type]  # the mistake under test
    inner, outer, failed = memory.spans
    assert [(span.kind, span.tool_name, span.error_type) for span in memory.spans] == [
        ("tool_call", "add", None),
        ("tool_call", "find", None),
        ("tool_call", "add", "TypeError"),
    ]
    assert (inner.parent_span_id, failed.parent_span_id) == (outer.span_id, None)
    assert CANARY not in repr(memory.spans)


def test_threads_are_counted_and_have_traces_of_their_own(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    together = threading.Barrier(4)

    def work() -> None:
        together.wait(5)
        for _ in range(250):
            interceptor.record_model_call("m", "p", response="r", cost_usd=0.1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert interceptor.get_metrics_snapshot()["total_calls"] == len({span.trace_id for span in memory.spans}) == 1000
    assert interceptor.get_metrics_snapshot()["avg_cost_usd"] == 0.1


def test_fields_that_are_filled_with_nonsense_never_reach_the_caller(memory: MemoryExporter) -> None:
    interceptor = instrument("shop", memory)
    with interceptor.span("model_call", model="gpt-4o") as span:
        nonsense: Any = span
        nonsense.start_time = "yesterday"
        nonsense.cost_usd = 0.5
        nonsense.confidence = float("nan")
    with interceptor.span("model_call", model="gpt-4o") as span:
        span.start_time = datetime(2026, 1, 1)  # noqa: DTZ001 (the mistake under test)
    assert interceptor.errors > 0
    assert (len(memory.spans), interceptor.get_metrics_snapshot()["total_calls"]) == (2, 2)


@pytest.mark.parametrize("nonsense", [{"start_time": 5}, {"end_time": "now"}])
def test_a_time_that_is_none_costs_nobody_an_answer(
    interceptor: MCPInterceptor, memory: MemoryExporter, nonsense: Any
) -> None:
    assert asyncio.run(interceptor.intercept_model_call("m", "p", call=answer_later, **nonsense)) == "an answer"
    assert memory.spans[0].end_time is not None
    assert interceptor.errors == 0


@pytest.mark.parametrize("is_shut", [True, False], ids=["shut down", "all busy"])
def test_a_call_does_not_need_the_threads_of_the_program(
    interceptor: MCPInterceptor, monkeypatch: pytest.MonkeyPatch, *, is_shut: bool
) -> None:
    monkeypatch.setattr("mcp_observatory.interceptor.LONGEST_PREPARE_S", 0.05)
    is_over = threading.Event()

    async def main() -> str:
        threads = ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(threads)
        if is_shut:
            threads.shutdown()
        else:
            threads.submit(is_over.wait, 30)
        try:
            return await asyncio.wait_for(interceptor.intercept_model_call("gpt-4o", "p", call=answer_later), 5)
        finally:
            is_over.set()

    assert asyncio.run(main()) == "an answer"


def test_service_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="service_name"):
        instrument("")
