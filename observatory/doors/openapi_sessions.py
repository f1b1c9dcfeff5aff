"""How the doors of sessions are described in /api/schema/."""

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

from observatory.doors.openapi import EVERY_KEYED, OBJECT, example, problems
from tools.reasons import DECISIONS

_SESSION_ID = OpenApiParameter("session_id", str, OpenApiParameter.PATH, pattern="^[A-Za-z0-9_.:-]{1,64}$")


_POLICY = inline_serializer(
    "SessionPolicy",
    {
        "allowlist": serializers.ListField(child=serializers.CharField(), required=False, allow_null=True),
        "blocklist": serializers.ListField(child=serializers.CharField(), required=False),
        "no_network": serializers.BooleanField(required=False),
        "dry_run": serializers.BooleanField(required=False),
        "max_steps": serializers.IntegerField(required=False, min_value=1, max_value=10_000, allow_null=True),
    },
    required=False,
)
_GUARDRAILS = inline_serializer(
    "SessionGuardrails",
    {
        "mode": serializers.ChoiceField(choices=["advisory", "mixed", "hard_gate"], required=False),
        "thresholds": serializers.DictField(child=serializers.FloatField(min_value=0, max_value=1), required=False),
    },
    required=False,
)
_HASH = "6f2f8f6a1d2f4cf5d9f2f1f6ad3c9d7f6d2c1a908d7e6f5a4b3c2d1e0f9a8b7c"
_OPENED = {
    "session_id": "demo_session",
    "status": "open",
    "model": "gpt-4o",
    "provider": "openai",
    "rules_hash": _HASH,
    "policy": {
        "allowlist": ["search_customer"],
        "blocklist": [],
        "no_network": True,
        "dry_run": False,
        "max_steps": 10,
    },
    "guardrails": {"mode": "mixed", "thresholds": {"pii": 0.0, "toxicity": 0.3}},
    "preflight_result": {"passed": True, "checked": {"tools": 1, "signals": 2}, "violations": [], "detectors": []},
    "tools_discovered": [{"name": "search_customer", "version": 1, "gate": "none"}],
}

open_session = extend_schema(
    operation_id="open_session",
    summary="Open a session: it narrows the key's policy for one run of an agent",
    request=inline_serializer(
        "SessionRequest",
        {
            "session_id": serializers.RegexField("^[A-Za-z0-9_.:-]{1,64}$", required=False),
            "model": serializers.CharField(max_length=120),
            "provider": serializers.CharField(max_length=40, required=False),
            "policy": _POLICY,
            "guardrails": _GUARDRAILS,
            "upstream": serializers.CharField(max_length=40, required=False),
            "reported": serializers.BooleanField(required=False),
        },
    ),
    responses={
        201: OpenApiResponse(OBJECT, description="The session with the tools that it can see; `refused` by status."),
        **problems(400, 409, 413, 415, *EVERY_KEYED),
    },
    examples=[
        example(
            "a narrowed session",
            {
                "session_id": "demo_session",
                "model": "gpt-4o",
                "policy": {"allowlist": ["search_customer"], "no_network": True, "max_steps": 10},
                "guardrails": {"mode": "mixed", "thresholds": {"toxicity": 0.3, "pii": 0.0}},
            },
            request_only=True,
        ),
        example("opened", _OPENED, response_only=True, status_codes=["201"]),
    ],
)

session = extend_schema(
    operation_id="get_session",
    summary="One's own session: totals, and a page of its steps",
    parameters=[
        _SESSION_ID,
        OpenApiParameter("after", int, OpenApiParameter.QUERY, description="Steps after this number."),
    ],
    responses={200: OpenApiResponse(OBJECT), **problems(400, 404, *EVERY_KEYED)},
)

close = extend_schema(
    operation_id="close_session",
    summary="Close a session: it takes no more steps",
    parameters=[_SESSION_ID],
    request=None,
    responses={
        200: OpenApiResponse(OBJECT, description="The session; one that had ended stays as it ended."),
        **problems(404, *EVERY_KEYED),
    },
)

_STEP = {
    "step_id": "step_1",
    "number": 1,
    "role": "assistant",
    "channel": "llm_to_tool",
    "input_text": "Search for ACME",
    "selected_tool": "search_customer",
    "tool_args": {"query": "acme"},
    "output_text": "results\nid: 1\nname: ACME AB\nstatus: active",
    "error": None,
    "decision": "ok",
    "reason": "allowed",
    "rule": "allowlist",
    "latency_ms": 4.2,
    "tokens_in": 9,
    "tokens_out": 11,
    "cost_est": 0.0001325,
    "guardrail_signals": [],
    "reused_fingerprints": [],
    "output": {"results": [{"id": 1, "name": "ACME AB", "status": "active"}]},
    "problem": None,
}

step = extend_schema(
    operation_id="add_step",
    summary="One step of a session: something said, a tool called, or what came of one elsewhere",
    description="Whatever was decided, the answer is the step with 200; a problem document where there is none.",
    parameters=[
        _SESSION_ID,
        OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Your name for this intention."),
        OpenApiParameter("traceparent", str, OpenApiParameter.HEADER, description="W3C Trace Context."),
    ],
    request=inline_serializer(
        "StepRequest",
        {
            "role": serializers.ChoiceField(choices=["user", "assistant", "tool"]),
            "input_text": serializers.CharField(required=False, allow_blank=True),
            "tool_name": serializers.CharField(required=False),
            "tool_args": serializers.DictField(required=False),
            "tokens_in": serializers.IntegerField(required=False, min_value=0),
            "tokens_out": serializers.IntegerField(required=False, min_value=0),
            "outcome": inline_serializer(
                "ReportedOutcome",
                {
                    "decision": serializers.ChoiceField(
                        choices=["ok", "denied_schema", "denied_policy", "error", "dry_run"]
                    ),
                    "reason": serializers.CharField(required=False),
                    "output_text": serializers.CharField(required=False),
                    "error": serializers.CharField(required=False),
                    "latency_ms": serializers.FloatField(required=False, min_value=0),
                    "dry_run": serializers.BooleanField(required=False),
                    "guardrail_signals": serializers.ListField(child=serializers.DictField(), required=False),
                },
                required=False,
            ),
        },
    ),
    responses={
        200: OpenApiResponse(OBJECT, description=f"The step; decision is one of {', '.join(DECISIONS)}."),
        **problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 423, 429, 502, 503, 504),
    },
    examples=[
        example(
            "a call",
            {
                "role": "assistant",
                "input_text": "Search for ACME",
                "tool_name": "search_customer",
                "tool_args": {"query": "acme"},
            },
            request_only=True,
        ),
        example("its step", _STEP, response_only=True, status_codes=["200"]),
    ],
)

guardrail_health = extend_schema(
    operation_id="guardrail_health",
    summary="The detectors and the harness: what is there, in which version, and what is missing",
    responses={200: OpenApiResponse(OBJECT), **problems(*EVERY_KEYED)},
    examples=[
        example(
            "all there",
            {
                "ok": True,
                "modes": {"sessions": "advisory", "calls": "off"},
                "detectors": [
                    {
                        "name": "pii",
                        "category": "pii",
                        "version": "1",
                        "available": True,
                        "missing_dependencies": [],
                        "optional": False,
                        "switched_off": False,
                        "remote": False,
                    }
                ],
                "harness": {"available": True, "version": "0.1.0", "missing_dependencies": [], "open_sessions": 2},
            },
            response_only=True,
            status_codes=["200"],
        )
    ],
)
