"""Tools that take their time. They are registered only where a test, or its server, asks for them."""

import time

from observatory.demo.models import Ticket
from tools import registry
from tools.registry import ToolContext, ToolError, tool


@tool(risk="low", read_only=True, network="no", timeout_s=60)
def count_slowly(steps: int, pause_s: float, context: ToolContext) -> dict[str, int]:
    """Counts, and stops where it is taken back."""
    for step in range(1, steps + 1):
        if context.is_cancelled:
            raise ToolError("Taken back.")
        context.report(step, steps, f"step {step}")
        time.sleep(pause_s)
    return {"counted": steps}


@tool(risk="low", network="no", supports_idempotency_key=True, timeout_s=60)
def open_slowly(customer_id: int, steps: int, pause_s: float, context: ToolContext) -> dict[str, bool]:
    """Opens a ticket, and goes on whether or not it is taken back."""
    Ticket.objects.create(customer_id=customer_id, title="slow")
    for step in range(1, steps + 1):
        context.report(step)
        time.sleep(pause_s)
    return {"opened": True}


TOOLS = {name: registry._registered.pop(name) for name in ("count_slowly", "open_slowly")}


def register() -> None:
    registry._registered.update(TOOLS)


def forget() -> None:
    for name in TOOLS:
        registry._registered.pop(name, None)
