"""What leaves the process for one call: each request to an upstream or a model is a span below the call's own.

They are noted while the call runs and written with its span, so that a call has all of its spans or none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from telemetry.models import Span
from telemetry.models.span import span_row_id
from telemetry.prices import cost_of
from telemetry.redaction import redact_text
from telemetry.tokens import ESTIMATE, REPORTED, estimate_tokens, usage_of
from telemetry.trace_context import TraceContext
from telemetry.visible import visible

OK, ERROR = "ok", "error"
MOST = 100


@dataclass(slots=True)
class ChildSpan:
    """One request that went out. Whoever sends it sets what it finds out; `trace.traceparent` goes along with it."""

    trace: TraceContext
    kind: str
    name: str
    start_time: dt.datetime
    end_time: dt.datetime | None = None
    error_type: str = ""
    model: str = ""
    provider: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    token_source: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)

    def count_tokens(self, answer: Any, sent: str, received: str) -> None:
        """Tokens as the model's answer reports them, else estimated of what was sent and received."""
        reported = usage_of(answer)
        self.prompt_tokens, self.completion_tokens = reported or (estimate_tokens(sent), estimate_tokens(received))
        self.token_source = REPORTED if reported else ESTIMATE

    def as_row(self, of_the_call: Mapping[str, Any]) -> Span:
        """The span's row, with what it has in common with the call's. A model call is priced by one query."""
        cost_usd, cost_source = cost_of(
            self.provider, self.model, self.prompt_tokens, self.completion_tokens, self.start_time
        )
        return Span(
            id=span_row_id(self.trace.trace_id, self.trace.span_id),
            trace_id=self.trace.trace_id,
            span_id=self.trace.span_id,
            parent_span_id=self.trace.parent_span_id,
            kind=self.kind,
            name=visible(redact_text(self.name))[:120],
            start_time=self.start_time,
            end_time=max(self.end_time or self.start_time, self.start_time),
            decision=ERROR if self.error_type else OK,
            error_type=self.error_type[:80],
            model=self.model[:120],
            provider=self.provider[:40],
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            token_source=self.token_source,
            cost_usd=cost_usd,
            cost_source=cost_source,
            attributes=self.attributes,
            **of_the_call,
        )


class ChildSpans:
    """Those of one call, in the order in which they began; the first hundred."""

    def __init__(self) -> None:
        self._spans: list[ChildSpan] = []

    @contextmanager
    def sent(self, parent: TraceContext, kind: Span.Kind, name: str) -> Iterator[ChildSpan]:
        """The request is timed. What it raises goes on, and its kind or name is the span's error."""
        span = ChildSpan(parent.child(), kind.value, name, timezone.now())
        if len(self._spans) < MOST:
            self._spans.append(span)
        try:
            yield span
        except BaseException as error:
            span.error_type = span.error_type or str(getattr(error, "kind", "") or type(error).__name__)
            raise
        finally:
            span.end_time = timezone.now()

    def rows(self, of_the_call: Mapping[str, Any]) -> list[Span]:
        return [span.as_row(of_the_call) for span in self._spans]
