"""The primary's answer is what it was, whatever the shadow does."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from mcp_observatory import MCPInterceptor, Shadow, TraceContext, Wrapper, instrument, wrap
from mcp_observatory.exporters import MemoryExporter


@pytest.fixture
def memory() -> MemoryExporter:
    return MemoryExporter()


@pytest.fixture
def interceptor(memory: MemoryExporter) -> MCPInterceptor:
    return instrument("agents", memory)


async def ask(prompt: str) -> str:
    await asyncio.sleep(0)
    return f"An answer to {prompt}."


async def hang(prompt: str) -> str:
    await asyncio.Event().wait()
    return prompt


def shadowed(interceptor: MCPInterceptor, call: Callable[[Any], Any], **options: Any) -> Wrapper[str]:
    return wrap(interceptor, ask, model="m", shadow=Shadow(call=call, model="n", **options))


def primaries(memory: MemoryExporter) -> list[TraceContext]:
    return [span for span in memory.spans if span.kind == "model_call"]


async def ended(wrapper: Wrapper[Any]) -> None:
    """Every comparison has come to its end."""
    while wrapper._running:
        await asyncio.wait(list(wrapper._running))


def test_answer_of_a_model_is_recorded(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    wrapper = wrap(interceptor, ask, model="gpt-4o", provider="openai")
    assert asyncio.run(wrapper.invoke("x", confidence=0.4, tool_name="t")) == "An answer to x."
    (span,) = memory.spans
    assert (span.model, span.provider, span.confidence, span.tool_name) == ("gpt-4o", "openai", 0.4, "t")
    assert (span.shadow_agreement, span.shadow_disagreement_score) == (None, None)
    assert span.cost_usd is not None


@pytest.mark.parametrize(("other", "agrees"), [("An answer to x.", True), ("An answer to X.", True), ("No.", False)])
@pytest.mark.parametrize("is_async", [True, False])
def test_shadow_is_compared(
    interceptor: MCPInterceptor, memory: MemoryExporter, other: str, agrees: bool, is_async: bool
) -> None:
    async def asked(prompt: str) -> str:
        return other

    async def main() -> None:
        wrapper = shadowed(interceptor, asked if is_async else lambda _: other, wait_s=5.0)
        assert await wrapper.invoke("x") == "An answer to x."
        assert wrapper.shadows == {"compared": 1, "running": 0}

    asyncio.run(main())
    (span,) = primaries(memory)
    assert span.shadow_agreement is agrees
    assert span.shadow_disagreement_score is not None
    (beside,) = [found for found in memory.spans if found.kind == "other"]
    assert (beside.title, beside.model, beside.parent_span_id) == ("shadow n", "n", span.span_id)
    figures = interceptor.get_metrics_snapshot()
    assert (figures["total_calls"], figures["shadow_disagreement_rate"]) == (1, float(not agrees))


def test_answer_does_not_wait_for_the_shadow(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    async def main() -> None:
        free = asyncio.Event()

        async def slow(prompt: str) -> str:
            await free.wait()
            return "No."

        wrapper = shadowed(interceptor, slow)
        assert await wrapper.invoke("x") == "An answer to x."
        assert memory.spans == []
        free.set()
        await ended(wrapper)

    asyncio.run(main())
    (span,) = primaries(memory)
    assert span.shadow_agreement is False


def test_answer_waits_as_long_as_is_asked(interceptor: MCPInterceptor) -> None:
    async def main() -> float:
        wrapper = shadowed(interceptor, hang, wait_s=0.1)
        began = time.monotonic()
        await wrapper.invoke("x")
        return time.monotonic() - began

    assert 0.1 <= asyncio.run(main()) < 5


def test_shadow_that_is_too_slow_is_given_up(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    async def main() -> None:
        wrapper = shadowed(interceptor, hang, timeout_s=0.05)
        await wrapper.invoke("x")
        await ended(wrapper)
        assert wrapper.shadows == {"timed_out": 1, "running": 0}

    asyncio.run(main())
    assert [span.shadow_agreement for span in primaries(memory)] == [None]


def failing(_: Any, *more: Any) -> Any:
    raise RuntimeError("no")


@pytest.mark.parametrize("options", [{"call": failing}, {"call": ask, "scorer": failing}])
def test_errors_of_a_shadow_are_only_counted(
    interceptor: MCPInterceptor, memory: MemoryExporter, options: dict[str, Any]
) -> None:
    async def main() -> None:
        wrapper = wrap(interceptor, ask, model="m", shadow=Shadow(model="n", wait_s=5.0, **options))
        assert await wrapper.invoke("x") == "An answer to x."
        assert wrapper.shadows == {"failed": 1, "running": 0}

    asyncio.run(main())
    assert [span.shadow_agreement for span in primaries(memory)] == [None]


def test_error_of_the_primary_is_raised_and_ends_the_shadow(
    interceptor: MCPInterceptor, memory: MemoryExporter
) -> None:
    error = ValueError("no")

    async def fail(prompt: str) -> str:
        await asyncio.sleep(0)
        raise error

    async def main() -> None:
        wrapper = wrap(interceptor, fail, model="m", shadow=Shadow(call=hang, model="n"))
        with pytest.raises(ValueError, match="no") as caught:
            await wrapper.invoke("x")
        assert caught.value is error
        await ended(wrapper)

    asyncio.run(main())
    assert sorted((span.kind, span.error_type) for span in memory.spans) == [
        ("model_call", "ValueError"),
        ("other", "CancelledError"),
    ]


def test_span_is_not_lost_when_the_loop_ends_before_the_shadow(
    interceptor: MCPInterceptor, memory: MemoryExporter
) -> None:
    asyncio.run(shadowed(interceptor, hang).invoke("x"))
    assert len(primaries(memory)) == 1


def test_hanging_thread_of_a_shadow_does_not_hold_up_the_end(interceptor: MCPInterceptor) -> None:
    free = threading.Event()
    began = time.monotonic()
    asyncio.run(shadowed(interceptor, lambda _: free.wait(30), timeout_s=0.1, wait_s=0.2).invoke("x"))
    assert time.monotonic() - began < 10
    free.set()


def test_only_so_many_shadows_run_at_a_time(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    async def main() -> None:
        wrapper = shadowed(interceptor, hang, most_running=2, timeout_s=0.05)
        await asyncio.gather(*(wrapper.invoke("x") for _ in range(5)))
        await ended(wrapper)
        assert wrapper.shadows == {"left_out": 3, "timed_out": 2, "running": 0}

    asyncio.run(main())
    assert len(primaries(memory)) == 5


def test_only_a_share_of_calls_gets_a_shadow(interceptor: MCPInterceptor) -> None:
    chances = iter([0.0, 0.24, 0.25, 0.9])
    shadow = Shadow(call=ask, model="n", sample=0.25, wait_s=5.0)
    wrapper: Wrapper[str] = Wrapper(interceptor, ask, model="m", shadow=shadow, random=lambda: next(chances))

    async def main() -> None:
        for _ in range(4):
            await wrapper.invoke("x")

    asyncio.run(main())
    assert wrapper.shadows["compared"] == 2


def test_caller_that_is_cancelled_ends_everything(interceptor: MCPInterceptor, memory: MemoryExporter) -> None:
    async def main() -> None:
        wrapper = wrap(interceptor, hang, model="m", shadow=Shadow(call=hang, model="n"))
        task = asyncio.create_task(wrapper.invoke("x"))
        while wrapper.shadows["running"] == 0:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended(wrapper)

    asyncio.run(main())
    assert [span.error_type for span in primaries(memory)] == ["CancelledError"]
