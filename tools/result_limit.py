"""A result over the tool's limit is cut, and says so; the rest is kept for the one who asked."""

import datetime as dt
from typing import Any

from telemetry.canonical import canonical_bytes
from telemetry.models import Payload
from telemetry.recorder import store_payload
from tools.contract import Execution, ToolCall

KEPT_FOR = dt.timedelta(hours=24)


def bounded(call: ToolCall, execution: Execution) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body for the agent, within the tool's limit, and facts for the door; an overflow is stored."""
    assert call.tool and call.key
    output = execution.output if isinstance(execution.output, dict) else {}
    if call.tool.supports_idempotency_key and execution.code == "allowed":
        output = {**output, "idempotent_replay": False}
    data = canonical_bytes(output)
    limit = call.tool.result_limit_bytes
    if len(data) <= limit:
        return output, {}
    now = call.received_at
    kept = store_payload(Payload.Purpose.OVERFLOW, data, now + KEPT_FOR, now, holder=call.key.agent_name)
    start = data[:limit].decode("utf-8", "ignore")
    return {"truncated": True, "handle": str(kept.id), "size_bytes": len(data), "start": start}, {}
