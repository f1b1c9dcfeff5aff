"""W3C traceparent: continued where valid, begun anew where not."""

import pytest

from telemetry.trace_context import TraceContext, continue_or_start, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def _random(n: int) -> str:
    return "ab" * n


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-ff", 255),
        (f" 00-{TRACE}-{SPAN}-03\t", 3),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", 1),
        (f"cc-{TRACE}-{SPAN}-01", 1),
    ],
)
def test_continue_keeps_the_trace_when_the_header_is_valid(header: str, flags: int) -> None:
    context = continue_or_start(header, random=_random)
    assert context == TraceContext(TRACE, "ab" * 8, SPAN, flags)
    assert context.traceparent == f"00-{TRACE}-{'ab' * 8}-{flags & 3:02x}"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"cc-{TRACE}-{SPAN}-01.x",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE[:-1]}٣-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-" + "x" * 100_000,
    ],
)
def test_continue_starts_a_new_trace_when_the_header_is_not_valid(header: str | None) -> None:
    assert continue_or_start(header, random=_random) == TraceContext("ab" * 16, "ab" * 8, "", 1)


def test_child_is_below_its_parent_when_made() -> None:
    root = continue_or_start(None)
    child = root.child()
    assert (child.trace_id, child.parent_span_id, child.flags) == (root.trace_id, root.span_id, root.flags)
    assert len({root.span_id, child.span_id, root.child().span_id}) == 3
    sent = parse_traceparent(child.traceparent)
    assert sent is not None
    assert (sent.trace_id, sent.span_id) == (child.trace_id, child.span_id)
