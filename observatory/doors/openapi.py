"""How each door is described in /api/schema/: what it takes, every status it answers, with examples."""

from typing import Any

from django.conf import settings
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from observatory.doors.problem import MEDIA_TYPE
from tools.reasons import DECISIONS, REASONS


class DoorSchema(AutoSchema):
    """Keys are described once, for every door that needs one."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        open_to_all = getattr(self.view, "scope", None) is None and not getattr(self.view, "keyed", False)
        return [] if open_to_all else [{"ApiKey": []}, {"Bearer": []}]


class MayReadSchema(BasePermission):
    """Public in the demonstration; elsewhere for people who are logged in to admin."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return settings.DEMO or bool(getattr(request.user, "is_staff", False))


class Problem(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField(help_text="urn:mcp-observatory:problem:<code>")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(allow_blank=True)
    code = serializers.ChoiceField(choices=sorted(REASONS))
    decision = serializers.ChoiceField(choices=DECISIONS)
    trace_id = serializers.CharField(allow_blank=True)


def problems(*statuses: int) -> dict[Any, Any]:
    return {
        (status, MEDIA_TYPE): OpenApiResponse(
            Problem, description="; ".join(sorted(r.code for r in REASONS.values() if r.status == status))
        )
        for status in statuses
    }


EVERY_KEYED = (401, 403, 406, 429, 503)
OBJECT = OpenApiTypes.OBJECT


def example(name: str, value: Any, **kwargs: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, **kwargs)


discovery = extend_schema(
    operation_id="list_tools",
    summary="What this key may call",
    parameters=[OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER)],
    responses={
        200: inline_serializer("Tools", {"tools": serializers.ListField(child=serializers.DictField())}),
        304: OpenApiResponse(description="Nothing changed since the ETag."),
        **problems(*EVERY_KEYED),
    },
    examples=[
        example(
            "one tool",
            {
                "tools": [
                    {
                        "name": "search_customer",
                        "title": "Search customer",
                        "method": "POST",
                        "path": "/tools/search_customer",
                        "description": "Customers whose name contains the query.",
                        "risk": "low",
                        "supports_idempotency_key": False,
                        "input_schema": {
                            "type": "object",
                            "properties": {"query": {"type": "string"}},
                            "required": ["query"],
                        },
                        "output_schema": {"type": "object"},
                        "annotations": {"readOnlyHint": True},
                        "version": 1,
                        "gate": "none",
                    }
                ]
            },
            response_only=True,
            status_codes=["200"],
        )
    ],
)

tool_call = extend_schema(
    operation_id="call_tool",
    summary="Call a tool",
    description="The body is the tool's arguments; the answer is the tool's own object, or says held or dry.",
    parameters=[
        OpenApiParameter("name", str, OpenApiParameter.PATH, pattern="^[a-z0-9_.-]{1,56}$"),
        OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Your name for this intention."),
        OpenApiParameter("X-Session-Id", str, OpenApiParameter.HEADER),
        OpenApiParameter("traceparent", str, OpenApiParameter.HEADER, description="W3C Trace Context."),
    ],
    request={"application/json": OBJECT},
    responses={
        200: OpenApiResponse(OBJECT, description="Done, held (requires_confirmation) or dry (dry_run)."),
        **problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 423, 429, 502, 503, 504),
    },
    examples=[
        example("arguments", {"query": "acme"}, request_only=True),
        example(
            "done",
            {"results": [{"id": 1, "name": "ACME AB", "status": "active"}]},
            response_only=True,
            status_codes=["200"],
        ),
        example(
            "held",
            {
                "requires_confirmation": True,
                "pending_action_id": "5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51",
                "customer": None,
                "status": "pending_approval",
            },
            response_only=True,
            status_codes=["200"],
        ),
    ],
)

mcp = extend_schema(
    operation_id="mcp",
    summary="MCP over streamable HTTP: one JSON-RPC message, one answer",
    description="Spoken by MCP clients of every version; see the documentation's page on connecting over MCP.",
    parameters=[
        OpenApiParameter("Mcp-Session-Id", str, OpenApiParameter.HEADER, description="As `initialize` answered it."),
    ],
    request={"application/json": OBJECT},
    responses={
        (200, "application/json"): OpenApiResponse(OBJECT, description="The JSON-RPC response, or its error."),
        (200, "text/event-stream"): OpenApiResponse(
            OpenApiTypes.STR, description="Events, each a JSON-RPC message: progress or changes, then the response."
        ),
        202: OpenApiResponse(description="A notification was taken."),
        (400, "application/json"): OpenApiResponse(OBJECT, description="A JSON-RPC error: it can't be read."),
        (404, "application/json"): OpenApiResponse(OBJECT, description="A JSON-RPC error: no such method."),
        (503, "application/json"): OpenApiResponse(OBJECT, description="A JSON-RPC error: too many open streams."),
        **problems(401, 403, 404, 406, 415, 429, 503),
    },
    examples=[
        example(
            "a call",
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "search_customer", "arguments": {"query": "acme"}},
            },
            request_only=True,
        )
    ],
)

confirm = extend_schema(
    operation_id="confirm_action",
    summary="Approve or reject a pending action",
    parameters=[OpenApiParameter("action_id", str, OpenApiParameter.PATH)],
    request=inline_serializer(
        "Decision",
        {"approve": serializers.BooleanField(), "reason": serializers.CharField(required=False, allow_blank=True)},
    ),
    responses={
        200: OpenApiResponse(OBJECT, description="Decided; with the tool's output where it ran."),
        202: OpenApiResponse(OBJECT, description="Counted; more people must agree."),
        **problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 423, 429, 502, 503, 504),
    },
    examples=[
        example("yes", {"approve": True}, request_only=True),
        example("no", {"approve": False, "reason": "wrong customer"}, request_only=True),
        example(
            "confirmed",
            {"ok": True, "status": "confirmed", "customer": {"id": 1, "name": "ACME AB", "status": "vip"}},
            response_only=True,
            status_codes=["200"],
        ),
    ],
)

_ACTION = inline_serializer(
    "PendingAction",
    {
        "pending_action_id": serializers.CharField(),
        "tool": serializers.CharField(),
        "status": serializers.CharField(),
        "reason": serializers.CharField(allow_blank=True),
        "approvals": serializers.IntegerField(),
        "approvals_needed": serializers.IntegerField(),
        "created_at": serializers.DateTimeField(),
        "expires_at": serializers.DateTimeField(),
        "result": serializers.DictField(allow_null=True),
    },
)

action = extend_schema(
    operation_id="get_action",
    summary="Where a pending action stands",
    parameters=[
        OpenApiParameter("action_id", str, OpenApiParameter.PATH),
        OpenApiParameter("wait", int, description="Seconds to wait for its end, at most 30."),
    ],
    responses={200: _ACTION, **problems(400, 404, *EVERY_KEYED)},
)

cancel = extend_schema(
    operation_id="cancel_action",
    summary="Take back one's own pending action",
    parameters=[OpenApiParameter("action_id", str, OpenApiParameter.PATH)],
    responses={200: _ACTION, **problems(404, 409, *EVERY_KEYED)},
)

decisions = extend_schema(
    operation_id="explain_decision",
    summary="What a call would be answered; nothing runs",
    request=inline_serializer(
        "DecisionQuestion",
        {
            "tool": serializers.CharField(),
            "args": serializers.DictField(required=False),
            "agent": serializers.CharField(required=False, help_text="Another agent's name; for operators only."),
        },
    ),
    responses={
        200: OpenApiResponse(OBJECT, description="Verdict and each stage's answer."),
        **problems(400, 404, 413, 415, *EVERY_KEYED),
    },
    examples=[
        example("may it?", {"tool": "create_ticket", "args": {"customer_id": 1, "title": "Broken"}}, request_only=True)
    ],
)

audit_events = extend_schema(
    operation_id="audit_events",
    summary="Audit events as JSON lines, oldest first",
    parameters=[
        OpenApiParameter("type", str),
        OpenApiParameter("actor", str),
        OpenApiParameter("subject", str),
        OpenApiParameter("subject_id", str),
        OpenApiParameter("trace_id", str),
        OpenApiParameter("from", OpenApiTypes.DATETIME),
        OpenApiParameter("to", OpenApiTypes.DATETIME),
        OpenApiParameter("after", int, description="Events with a greater id."),
        OpenApiParameter("limit", int),
    ],
    responses={
        (200, "application/x-ndjson"): OpenApiResponse(OpenApiTypes.STR, description="One event a line."),
        **problems(400, *EVERY_KEYED),
    },
)

result = extend_schema(
    operation_id="get_result",
    summary="The whole of a result that was cut",
    parameters=[OpenApiParameter("handle", str, OpenApiParameter.PATH)],
    responses={200: OpenApiResponse(OBJECT), **problems(404, *EVERY_KEYED)},
)

resource_metadata = extend_schema(
    summary="Whose access tokens are taken, and for what (RFC 9728)",
    responses={
        200: inline_serializer(
            "ResourceMetadata",
            {
                "resource": serializers.URLField(),
                "authorization_servers": serializers.ListField(child=serializers.URLField()),
                "scopes_supported": serializers.ListField(child=serializers.CharField()),
                "bearer_methods_supported": serializers.ListField(child=serializers.CharField()),
                "resource_name": serializers.CharField(),
            },
        ),
        **problems(404, 406),
    },
)

health = extend_schema(
    operation_id="health",
    summary="Whether it lives",
    responses={
        200: inline_serializer("Health", {"ok": serializers.BooleanField(), "version": serializers.CharField()}),
        **problems(406),
    },
)

_READY = inline_serializer(
    "Ready",
    {name: serializers.BooleanField() for name in ("ok", "database", "broker", "migrations", "beat")},
)
ready = extend_schema(
    operation_id="ready",
    summary="Whether it is ready, a part at a time",
    responses={200: _READY, 503: _READY, **problems(406)},
)
