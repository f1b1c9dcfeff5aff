"""W3C trace context, in and out."""

import threading

import pytest
from mcp_observatory import TraceContext, continue_trace, current_span, current_traceparent, instrument
from mcp_observatory.exporters import MemoryExporter
from mcp_observatory.trace_context import parse_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("flags", ["00", "01", "03", "ff"])
def test_header_is_read_with_any_flags(flags: str) -> None:
    sender = parse_traceparent(f" 00-{TRACE}-{SPAN}-{flags}\t")
    assert sender is not None
    assert (sender.trace_id, sender.span_id, sender.trace_flags) == (TRACE, SPAN, int(flags, 16))


def test_header_of_a_later_version_may_say_more() -> None:
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-01-more") is not None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 600,
    ],
)
def test_header_that_is_not_valid_is_none(header: str) -> None:
    assert parse_traceparent(header) is None
    with continue_trace(header):
        assert current_span() is None


def test_trace_is_continued_and_handed_on() -> None:
    memory = MemoryExporter()
    interceptor = instrument("s", memory)
    with continue_trace(f"00-{TRACE}-{SPAN}-01"), interceptor.span("tool_call", tool_name="t") as span:
        assert current_traceparent() == f"00-{TRACE}-{span.span_id}-01" == span.traceparent
    assert (span.trace_id, span.parent_span_id) == (TRACE, SPAN)
    assert current_traceparent() is None


def test_trace_is_not_another_threads() -> None:
    interceptor = instrument("s")
    found: list[TraceContext | None] = []
    with interceptor.span():
        thread = threading.Thread(target=lambda: found.append(current_span()))
        thread.start()
        thread.join()
    assert found == [None]


def test_block_that_ends_in_another_context_is_recorded() -> None:
    """As of an async generator that the loop closes."""
    import contextvars

    memory = MemoryExporter()
    opened = instrument("s", memory).span("tool_call", tool_name="t")
    contextvars.copy_context().run(opened.__enter__)
    opened.__exit__(None, None, None)
    assert len(memory.spans) == 1
