"""Finished spans as a list, for tests and for looking."""

from collections import deque

from mcp_observatory.trace_context import TraceContext


class MemoryExporter:
    """The last `limit` spans are in `spans`, oldest first."""

    def __init__(self, limit: int = 10_000) -> None:
        self._spans: deque[TraceContext] = deque(maxlen=limit)

    @property
    def spans(self) -> list[TraceContext]:
        return list(self._spans)

    def clear(self) -> None:
        self._spans.clear()

    def export(self, span: TraceContext) -> None:
        self._spans.append(span)

    def flush(self, timeout: float = 5.0) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""
