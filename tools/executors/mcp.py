"""Calls a tool of an upstream MCP server, by the pooled connections. What comes back is cleaned and bounded."""

from collections.abc import Mapping
from typing import Any

from telemetry.canonical import NotCanonical, canonical_bytes, parse
from telemetry.connections import release_connection
from telemetry.encryption import CannotOpen
from telemetry.models import Span
from telemetry.trace_context import TraceContext
from tools.contract import Execution, Ran, ToolCall
from tools.snapshot import ToolView
from tools.upstreams.answers import CallAnswer, OutcomeUnknown, Refused, Unreachable
from tools.upstreams.cleaning import clean, clean_text
from tools.upstreams.pool import POOL
from tools.upstreams.target import Target
from tools.upstreams.targets import CommandUnknown, NoCredential, target_for

# Our own words in `_meta`: never the protocol's prefix.
IDEMPOTENCY_KEY = "org.mcp-observatory/idempotencyKey"
LONGEST_ERROR = 2_000
_BROKE_OFF = {"timeout": "tool_timeout", "cancelled": "call_cancelled", "invalid": "tool_output_invalid"}


def execute(call: ToolCall) -> Execution:
    assert call.tool and call.key
    upstream = call.tool.upstream
    if upstream is None:
        return Execution("tool_unreachable", Ran.NO, detail="The tool's upstream server is gone.")
    try:
        target = target_for(upstream, call.key.agent_id)
    except NoCredential as missing:
        return Execution("credential_missing", Ran.NO, detail=str(missing))
    except (CannotOpen, CommandUnknown):
        return Execution("tool_unreachable", Ran.NO, detail=f"{upstream.name} is not set up as it has to be.")
    release_connection()
    try:
        answer = _asked(call, target)
    except Unreachable as error:
        return Execution("tool_unreachable", Ran.NO, detail=str(error))
    except Refused as error:
        return Execution("tool_error", Ran.NO, detail=_text(call.tool, str(error)))
    except OutcomeUnknown as error:
        ran = Ran.NO if call.tool.read_only else Ran.UNKNOWN
        return Execution(_BROKE_OFF.get(error.why, "tool_failed"), ran, detail=_text(call.tool, str(error)))
    return _answered(call.tool, answer)


def _asked(call: ToolCall, target: Target) -> CallAnswer:
    assert call.tool
    with call.children.sent(call.trace, Span.Kind.UPSTREAM, f"tools/call {target.name}") as span:
        span.attributes = {"mcp.method.name": "tools/call", "mcp_observatory.upstream": target.name}
        answer = POOL.call(
            target,
            call.tool.upstream_name,
            call.arguments,
            timeout_s=float(call.tool.timeout_s),
            meta=_meta(call, span.trace),
            progress=call.progress,
            cancellation=call.cancellation,
        )
        # The conventions' own word for a tool that says it failed.
        span.error_type = "tool_error" if answer.is_error else ""
        return answer


def _meta(call: ToolCall, trace: TraceContext) -> dict[str, Any]:
    """The trace goes along, baggage does not. The call has a name downstream too, as over HTTP."""
    assert call.tool
    found: dict[str, Any] = {"traceparent": trace.traceparent}
    if not call.tool.read_only:
        found[IDEMPOTENCY_KEY] = call.permit.action_id if call.permit else call.trace.span_id
    return found


def _answered(tool: ToolView, answer: CallAnswer) -> Execution:
    if answer.is_error:
        # It ran to an end of its own choosing; what it changed before, only its own words can tell.
        return Execution("tool_reported_error", Ran.YES, detail=_text(tool, _words(answer)) or "It gave no reason.")
    try:
        output = _output(tool, answer)
    except NotCanonical as problem:
        return Execution("tool_output_invalid", Ran.YES, detail=f"The upstream's answer: {problem.detail}")
    if output is None:
        return Execution("tool_output_invalid", Ran.YES, detail="It declares structured output and answered none.")
    problems = tool.output_validator.problems(output) if tool.output_validator else []
    if problems:
        return Execution("tool_output_invalid", Ran.YES, detail=f"{problems[0].path}: {problems[0].message}")
    return Execution("allowed", Ran.YES, output=clean(output, mask=_masks(tool)))


def _output(tool: ToolView, answer: CallAnswer) -> Mapping[str, Any] | None:
    """The structured output where the tool declares one, else MCP's content. Raises NotCanonical."""
    if tool.output_schema is not None:
        found: Any = None if answer.structured is None else dict(answer.structured)
    else:
        structured = {} if answer.structured is None else {"structuredContent": dict(answer.structured)}
        found = {"content": [dict(block) for block in answer.content], **structured}
    if found is None:
        return None
    data = canonical_bytes(found)
    parsed: Mapping[str, Any] = parse(data, max_bytes=len(data))
    return parsed


def _words(answer: CallAnswer) -> str:
    return "\n".join(str(block.get("text", "")) for block in answer.content if block.get("type") == "text")


def _text(tool: ToolView, text: str) -> str:
    return clean_text(text[: 2 * LONGEST_ERROR], mask=_masks(tool))[:LONGEST_ERROR]


def _masks(tool: ToolView) -> bool:
    return tool.upstream is None or tool.upstream.mask_secrets
