"""What every exporter can do."""

from typing import Protocol

from mcp_observatory.trace_context import TraceContext


class Exporter(Protocol):
    """Takes finished spans. Safe between threads."""

    def export(self, span: TraceContext) -> None:
        """The span is taken, or counted as dropped. Returns at once."""

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until nothing is waiting to be sent; False where the time was over before."""

    def close(self) -> None:
        """As much is sent as can be within the exporter's time for it; later spans are dropped."""
