"""What a call came to, as MCP's CallToolResult: structured content, and the same as text."""

import json
from collections.abc import Mapping
from typing import Any

from mcp_types import INVALID_PARAMS

from observatory.calling import Answer
from observatory.committed import CommitAnswer
from observatory.doors.mcp.messages import RpcError
from observatory.doors.mcp.tool_listing import NAMESPACE
from observatory.doors.problem import document
from telemetry.trace_context import TraceContext
from tools.contract import Outcome, Stop
from tools.models import Tool
from tools.snapshot import ToolView


def result_of(answer: Answer, trace: TraceContext, tool: ToolView | None = None) -> dict[str, Any]:
    """An answer is structured content; a refusal is an error result that holds the problem document.

    `tool` is given where the answer is a stored one. Raises RpcError for a tool that is none for this key.
    """
    if isinstance(answer, CommitAnswer):
        return _commit(answer, trace)
    if isinstance(answer, Stop):
        return stopped(answer, trace)
    if answer.reason.code == "unknown_tool":
        raise RpcError(INVALID_PARAMS, answer.detail, {"code": "unknown_tool"})
    if not answer.is_answer:
        return refused({**answer.facts, **document(answer.reason, answer.detail, trace.trace_id)}, trace)
    tool = tool or (answer.call.tool if answer.call else None)
    return result(_body(answer), trace, replayed=answer.replayed, blocks=_blocks(tool, answer.body))


def stopped(stop: Stop, trace: TraceContext, **facts: Any) -> dict[str, Any]:
    return refused({**stop.facts, **facts, **document(stop.reason, stop.detail, trace.trace_id)}, trace)


def refused(problem: Mapping[str, Any], trace: TraceContext) -> dict[str, Any]:
    return result(problem, trace, is_error=True)


def result(
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


def _blocks(tool: ToolView | None, body: Mapping[str, Any]) -> list[Any] | None:
    """MCP's own content blocks, where an upstream's tool answered such and no structured output is declared."""
    if tool is None or tool.executor != Tool.Executor.MCP or tool.output_schema is not None:
        return None
    found = body.get("content")
    return found if isinstance(found, list) else None


def _body(outcome: Outcome) -> dict[str, Any]:
    body = dict(outcome.body)
    if outcome.replayed and "idempotent_replay" in body:
        body["idempotent_replay"] = True
    return body


def _commit(answer: CommitAnswer, trace: TraceContext) -> dict[str, Any]:
    if answer.body is None:
        facts = {**answer.facts, "commit_id": answer.commit_id}
        return refused({**facts, **document(answer.reason, answer.detail, trace.trace_id)}, trace)
    is_error = answer.reason.status >= 300
    return result(answer.body, trace, is_error=is_error, replayed=answer.replayed)
