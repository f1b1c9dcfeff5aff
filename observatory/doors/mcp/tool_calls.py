"""`tools/call`: the call by its name goes through the one door, and what it came to is a tool result."""

import json
from collections.abc import Mapping
from typing import Any

from mcp_types import INVALID_PARAMS

from observatory.action_status import action_of, described
from observatory.calling import Answer, call_by_name
from observatory.committed import CommitAnswer
from observatory.doors.mcp.messages import Message, RpcError
from observatory.doors.mcp.own_tools import STATUS, status_arguments
from observatory.doors.mcp.tool_listing import NAMESPACE
from observatory.doors.problem import document
from telemetry.trace_context import TraceContext
from tools.contract import Outcome, Stop, ToolCall
from tools.models import Tool
from tools.reasons import reason
from tools.snapshot import KeyView

IDEMPOTENCY_KEY, SESSION_ID = NAMESPACE + "idempotencyKey", NAMESPACE + "sessionId"


def text_in_meta(message: Message, name: str, header: str = "") -> str | None:
    """A word that travels beside the arguments: in `_meta`, or in the header of that name. Raises RpcError."""
    found = message.meta.get(name)
    if found is None:
        return message.headers.get(header) if header else None
    if not isinstance(found, str):
        raise RpcError(INVALID_PARAMS, f"_meta {name} is a string.")
    return found


def called(call: ToolCall, key: KeyView) -> dict[str, Any]:
    """Shape: MCP's CallToolResult. Raises RpcError for a tool that is none for this key."""
    if call.tool_name == STATUS:
        return _status(call, key)
    return result_of(call_by_name(call), call.trace)


def _status(call: ToolCall, key: KeyView) -> dict[str, Any]:
    wanted = status_arguments(call.arguments)
    if wanted is None:
        return _refused(
            document(reason("denied_schema"), "Send pending_action_id, and wait_s from 0 to 30."), call.trace
        )
    found = action_of(key, wanted[0], wait_s=wanted[1])
    if isinstance(found, Stop):
        return _refused(document(found.reason, found.detail), call.trace)
    return _result(described(found), call.trace)


def result_of(answer: Answer, trace: TraceContext) -> dict[str, Any]:
    """An answer is structured content; a refusal is an error result that holds the problem document."""
    if isinstance(answer, CommitAnswer):
        return _commit(answer, trace)
    if isinstance(answer, Stop):
        return _refused(document(answer.reason, answer.detail), trace)
    if answer.reason.code == "unknown_tool":
        raise RpcError(INVALID_PARAMS, answer.detail, {"code": "unknown_tool"})
    if not answer.is_answer:
        return _refused({**answer.facts, **document(answer.reason, answer.detail, trace.trace_id)}, trace)
    return _result(_body(answer), trace, replayed=answer.replayed, blocks=_blocks(answer))


def _blocks(outcome: Outcome) -> list[Any] | None:
    """MCP's own content blocks, where an upstream's tool answered such and no structured output is declared."""
    tool = outcome.call.tool if outcome.call else None
    if tool is None or tool.executor != Tool.Executor.MCP or tool.output_schema is not None:
        return None
    found = outcome.body.get("content")
    return found if isinstance(found, list) else None


def _body(outcome: Outcome) -> dict[str, Any]:
    body = dict(outcome.body)
    if outcome.replayed and "idempotent_replay" in body:
        body["idempotent_replay"] = True
    return body


def _commit(answer: CommitAnswer, trace: TraceContext) -> dict[str, Any]:
    if answer.body is None:
        facts = {**answer.facts, "commit_id": answer.commit_id}
        return _refused({**facts, **document(answer.reason, answer.detail, trace.trace_id)}, trace)
    is_error = answer.reason.status >= 300
    return _result(answer.body, trace, is_error=is_error, replayed=answer.replayed)


def _refused(problem: Mapping[str, Any], trace: TraceContext) -> dict[str, Any]:
    return _result(problem, trace, is_error=True)


def _result(
    body: Mapping[str, Any],
    trace: TraceContext,
    *,
    is_error: bool = False,
    replayed: bool = False,
    blocks: list[Any] | None = None,
) -> dict[str, Any]:
    meta = {NAMESPACE + "traceId": trace.trace_id} | ({NAMESPACE + "replayed": True} if replayed else {})
    if blocks is not None:
        structured = body.get("structuredContent")
        return {"content": blocks, "isError": is_error, "_meta": meta} | (
            {"structuredContent": structured} if isinstance(structured, dict) else {}
        )
    return {
        "content": [{"type": "text", "text": json.dumps(body, ensure_ascii=False)}],
        "structuredContent": dict(body),
        "isError": is_error,
        "_meta": meta,
    }
