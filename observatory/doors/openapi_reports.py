"""How the doors of reports are described in /api/schema/."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from observatory.doors.openapi import EVERY_KEYED, OBJECT, example, problems
from telemetry.reports import xlsx_report

_FILTERS = [
    OpenApiParameter("session", str, description="Only the session of this id."),
    OpenApiParameter("agent", str, description="Only sessions of this agent."),
    OpenApiParameter("from", OpenApiTypes.DATETIME, description="Began then or later, such as 2026-11-21T14:00:00Z."),
    OpenApiParameter("to", OpenApiTypes.DATETIME, description="Began before then; with its offset, too."),
]
_DESCRIPTION = (
    "Secrets and personal data are masked. A key reads its own agent's sessions; where its owner may make reports, all."
)
_STEP = {
    "step_id": "step_1",
    "number": 1,
    "role": "assistant",
    "channel": "llm_to_tool",
    "input_text": "Search for [masked email]",
    "selected_tool": "search_customer",
    "tool_args": {"query": "acme"},
    "output_text": "results",
    "decision": "ok",
    "reason": "allowed",
    "latency_ms": 150.5,
    "tokens_in": 10,
    "tokens_out": 20,
    "cost_est": 0.001,
    "guardrail_signals": [],
    "reused_fingerprints": [],
}
_SESSION = {
    "session_id": "demo_session",
    "agent": "billing-agent",
    "model": "gpt-4o",
    "status": "closed",
    "steps": [_STEP],
    "total_latency_ms": 150.5,
    "total_cost_est": 0.001,
    "total_tokens_in": 10,
    "total_tokens_out": 20,
    "total_violations": 0,
    "preflight_result": {"passed": True},
    "session_violations": [],
}
_REPORT = {
    "report": {"made_at": "2026-11-29T07:00:00+00:00", "made_by": "billing-agent", "filters": {}},
    "mcp_details": {
        "summary": {
            "total_sessions": 1,
            "total_steps": 1,
            "unfinished_steps": 0,
            "tools_used": ["search_customer"],
            "decisions": {"ok": 1},
        },
        "sessions": [_SESSION],
    },
}

sessions_json = extend_schema(
    operation_id="report_sessions_json",
    summary="Sessions with their steps, and what they add up to, as JSON",
    description=_DESCRIPTION,
    parameters=_FILTERS,
    responses={200: OpenApiResponse(OBJECT), **problems(400, 413, *EVERY_KEYED)},
    examples=[example("one session", _REPORT, response_only=True, status_codes=["200"])],
)

sessions_xlsx = extend_schema(
    operation_id="report_sessions_xlsx",
    summary="The same as a workbook: a sheet MCP_Details with a row for each step, and a sheet Summary",
    description=_DESCRIPTION,
    parameters=_FILTERS,
    responses={
        (200, xlsx_report.CONTENT_TYPE): OpenApiResponse(OpenApiTypes.BINARY),
        **problems(400, 413, *EVERY_KEYED),
    },
)
