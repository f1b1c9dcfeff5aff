"""One timed call and its place in a trace. Source: W3C Trace Context."""

import contextlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

Kind = Literal["model_call", "tool_call", "other"]
TokenSource = Literal["reported", "tiktoken", "estimate"]
Scalar = str | int | float | bool

SAMPLED = 0x01
# The bits that a version 00 header may carry on; others must be sent as zero.
_KNOWN_FLAGS = 0x03
_LONGEST_HEADER = 512
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def _now() -> datetime:
    return datetime.now(UTC)


def _trace_id() -> str:
    return secrets.token_hex(16)


def _span_id() -> str:
    return secrets.token_hex(8)


@dataclass(slots=True)
class TraceContext:
    """A span: who called what, how long it took, what it used and how it was judged. Never what was said.

    `trace_id` is 32 hex, `span_id` 16. `error_type` is the class name of what went wrong, None where nothing did.
    `shadow_*` are None without a shadow call, `golden_passed` where the call was no golden scenario,
    `confidence_gate_blocked` where there was no gate. Scores are 0 to 1.
    """

    service: str
    kind: Kind = "other"
    name: str | None = None
    trace_id: str = field(default_factory=_trace_id)
    span_id: str = field(default_factory=_span_id)
    parent_span_id: str | None = None
    trace_flags: int = SAMPLED
    provider: str | None = None
    model: str | None = None
    tool_name: str | None = None
    start_time: datetime = field(default_factory=_now)
    end_time: datetime | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    token_source: TokenSource | None = None
    cost_usd: Decimal | None = None
    retries: int = 0
    fallback_used: bool = False
    confidence: float | None = None
    confidence_gate_blocked: bool | None = None
    prompt_diff_score: float | None = None
    shadow_agreement: bool | None = None
    shadow_disagreement_score: float | None = None
    deterministic_fallback: bool = False
    high_risk_path: bool = False
    golden_passed: bool | None = None
    error_type: str | None = None
    session_id: str | None = None
    attributes: dict[str, Scalar] = field(default_factory=dict)

    @property
    def traceparent(self) -> str:
        """The header (or `_meta` entry) that lets whom you call continue this trace."""
        return f"00-{self.trace_id}-{self.span_id}-{self.trace_flags & _KNOWN_FLAGS:02x}"

    @property
    def title(self) -> str:
        """The span's name, as OpenTelemetry's conventions for MCP and GenAI make it where none was given."""
        if self.name:
            return self.name
        if self.kind == "tool_call":
            return f"tools/call {self.tool_name or ''}".strip()
        return f"chat {self.model}" if self.kind == "model_call" and self.model else self.kind


_current: ContextVar[TraceContext | None] = ContextVar("mcp_observatory_span", default=None)


def current_span() -> TraceContext | None:
    """The span that the running code is in, in this thread or task."""
    return _current.get()


def current_traceparent() -> str | None:
    """What to send along with a request, so that its receiver's spans stand under ours."""
    span = _current.get()
    return span.traceparent if span else None


def parse_traceparent(header: str) -> TraceContext | None:
    """The sender's span, to be a parent; None where the header is not valid."""
    if len(header) > _LONGEST_HEADER:
        return None
    match = _TRACEPARENT.fullmatch(header.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext("", trace_id=trace_id, span_id=span_id, trace_flags=int(flags, 16))


def parent_of(given: TraceContext | str | None) -> TraceContext | None:
    """The span to stand under: the given one, the sender's of a traceparent, else the current one."""
    if isinstance(given, TraceContext):
        return given
    sender = parse_traceparent(given) if isinstance(given, str) else None
    return sender or _current.get()


@contextmanager
def as_current(span: TraceContext | None) -> Iterator[None]:
    """Spans opened inside stand under this one."""
    token = _current.set(span)
    try:
        yield
    finally:
        leave(token)


def enter(span: TraceContext) -> "Token[TraceContext | None]":
    """The span is the current one, until `leave`."""
    return _current.set(span)


def leave(token: "Token[TraceContext | None]") -> None:
    """The span before is the current one again; quietly not where a generator was moved to another context."""
    with contextlib.suppress(ValueError):
        _current.reset(token)


@contextmanager
def continue_trace(traceparent: str | None) -> Iterator[None]:
    """Spans opened inside continue the sender's trace; as before where the header is missing or not valid."""
    sender = parse_traceparent(traceparent) if traceparent else None
    with as_current(sender or _current.get()):
        yield
