"""Runs a registered Python function in this process."""

import logging

from pydantic import ValidationError

from tools import registry
from tools.contract import Execution, Ran, ToolCall

log = logging.getLogger(__name__)


def execute(call: ToolCall) -> Execution:
    tool = registry.find(call.tool_name)
    if tool is None:
        return Execution("tool_unreachable", Ran.NO, detail="The tool's code is not installed in this process.")
    assert call.key
    call_id = call.permit.action_id if call.permit else call.trace.span_id
    context = registry.ToolContext(call_id, call.key.agent_name, call.received_at, call.progress, call.cancellation)
    try:
        run = tool.bind(call.arguments, context)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return Execution("tool_error", Ran.NO, detail=f"{place}: {first['msg']}")
    try:
        return Execution("allowed", Ran.YES, output=run())
    except registry.ToolError as error:
        # Nothing has changed. Of a call that was taken back this is no word about its input: it may be made again.
        code = "call_cancelled" if context.is_cancelled else "tool_error"
        return Execution(code, Ran.NO, detail=str(error)[:500])
    except Exception:
        # Its text may hold anything, so it goes to the log of the installation and not to the agent.
        log.exception("tool %s failed, trace %s", call.tool_name, call.trace.trace_id)
        return Execution("tool_failed", Ran.UNKNOWN, detail="The tool failed; the installation's log has the cause.")
