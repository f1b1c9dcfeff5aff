"""Where a call stands in its trace. Source: W3C Trace Context, level 1 (and the random flag of level 2)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

SAMPLED = 0x01
# The bits that a version 00 header may carry on; others must be sent as zero.
_KNOWN_FLAGS = 0x03
_LONGEST_HEADER = 512
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

# Answers that many random bytes in hex, as secrets.token_hex does.
RandomHex = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class TraceContext:
    """`trace_id` is 32 hex, `span_id` 16; `parent_span_id` is empty on the first span of a trace."""

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    flags: int = SAMPLED

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags & _KNOWN_FLAGS:02x}"

    def child(self, *, random: RandomHex = secrets.token_hex) -> TraceContext:
        """A new span below this one."""
        return TraceContext(self.trace_id, random(8), self.span_id, self.flags)


def parse_traceparent(header: str) -> TraceContext | None:
    """The sender's own place in the trace, or None where the header is not valid. Its parent is not on the wire."""
    if len(header) > _LONGEST_HEADER:
        return None
    match = _TRACEPARENT.fullmatch(header.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, "", int(flags, 16))


def continue_or_start(traceparent: str | None, *, random: RandomHex = secrets.token_hex) -> TraceContext:
    """A new span in the sender's trace, or in a new trace where the header is missing or not valid."""
    sender = parse_traceparent(traceparent) if traceparent else None
    return sender.child(random=random) if sender else TraceContext(random(16), random(8))
