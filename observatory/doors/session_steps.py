"""The steps of a session: said, called, or reported. Whatever was decided, the answer is the step."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.calling import Answer, call_by_name
from observatory.client_address import client_address
from observatory.committed import CommitAnswer
from observatory.doors import openapi_sessions as openapi
from observatory.doors.body import json_object
from observatory.doors.key_authentication import caller_of, credential_of, snapshot_of
from observatory.doors.parameters import member_text, refuse_other_members
from observatory.doors.problem import Refusal, document
from observatory.doors.rendering import answered
from observatory.reported_steps import Reported, report, reported
from observatory.session_steps import say, step_of
from telemetry.models import Step
from telemetry.sessions import Said, reported_tokens, shown_name
from telemetry.trace_context import continue_or_start
from tools.contract import Door, InSession, Outcome, Stop, ToolCall
from tools.scopes import Scope
from tools.session_policy import STEP_LIMIT, channel_of

_MEMBERS = ("role", "input_text", "tool_name", "tool_args", "tokens_in", "tokens_out", "outcome")
_LONGEST_TEXT = 64 * 1024


class StepsView(APIView):
    """One step: said, called, or reported. Whatever was decided, the answer is the step."""

    scope = Scope.SESSIONS_WRITE

    @openapi.step
    def post(self, request: Request, session_id: str) -> Response:
        body = json_object(request)
        refuse_other_members(body, _MEMBERS)
        call = _call(request, session_id, _said(body))
        answer: Answer | None
        if body.get("outcome") is not None:
            answer = report(call, _outcome(body["outcome"]))
        elif call.tool_name:
            answer = call_by_name(call)
        else:
            answer = say(call)
        return _rendered(call, answer)


def _outcome(told: object) -> Reported:
    try:
        return reported(told)
    except ValueError as problem:
        raise Refusal("invalid_parameter", str(problem)) from None


def _said(body: Mapping[str, Any]) -> Said:
    role, tool, arguments = body.get("role"), member_text(body, "tool_name", 256), body.get("tool_args")
    if role not in Step.Role.values:
        raise Refusal("invalid_parameter", "role is user, assistant or tool.")
    if arguments is not None and not isinstance(arguments, dict):
        raise Refusal("invalid_parameter", "tool_args is an object.")
    if arguments is not None and not tool:
        raise Refusal("invalid_parameter", "tool_args are arguments of a tool_name.")
    if tool and role == "user":
        raise Refusal("invalid_parameter", "A user calls no tools: role is assistant or tool.")
    text = body.get("input_text", "")
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        raise Refusal("invalid_parameter", f"input_text is text of at most {_LONGEST_TEXT} characters.")
    try:
        counts = {name: reported_tokens(body.get(name)) for name in ("tokens_in", "tokens_out")}
    except ValueError as problem:
        raise Refusal("invalid_parameter", str(problem)) from None
    return Said(role, channel_of(role, bool(tool)), text, tool, (arguments or {}) if tool else None, **counts)


def _call(request: Request, session_id: str, said: Said) -> ToolCall:
    return ToolCall(
        tool_name=said.tool_name,
        arguments=said.arguments or {},
        door=Door.SESSION,
        trace=continue_or_start(request.META.get("HTTP_TRACEPARENT")),
        received_at=timezone.now(),
        credential=credential_of(request),
        address=client_address(request),
        idempotency_key=request.META.get("HTTP_IDEMPOTENCY_KEY"),
        session_id=session_id,
        in_session=InSession(said),
        key=caller_of(request),
        snapshot=snapshot_of(request),
    )


def _rendered(call: ToolCall, answer: Answer | None) -> Response:
    """The step, with the tool's own output for the caller; a problem document where there is no step."""
    step = step_of(call)
    if step is not None and step.ended_at is not None:
        return _traced(call, step.as_json() | _for_the_caller(answer))
    if isinstance(answer, Outcome | Stop) and answer.reason.code == STEP_LIMIT[0]:
        return _traced(call, _beyond(call, answer))
    assert answer is not None
    return answered(answer, call.trace)


def _for_the_caller(answer: Answer | None) -> dict[str, Any]:
    """What is told once and stored nowhere: the whole output, and the problem document of a refusal."""
    if answer is None:
        return {"output": None, "problem": None}
    if isinstance(answer, Outcome) and answer.is_answer:
        told = {"idempotent_replay": True} if answer.replayed and "idempotent_replay" in answer.body else {}
        return {"output": dict(answer.body) | told, "problem": None}
    if isinstance(answer, CommitAnswer) and answer.body is not None and answer.reason.status < 300:
        return {"output": dict(answer.body), "problem": None}
    facts = {name: value for name, value in answer.facts.items() if name != "body"}
    return {"output": None, "problem": {**facts, **document(answer.reason, answer.detail)}}


def _beyond(call: ToolCall, answer: Outcome | Stop) -> dict[str, Any]:
    """A step that there is none of, in a step's shape: it has no number, and is counted as refused."""
    said = call.in_session.said
    assert said
    step = Step(role=said.role, channel=said.channel, selected_tool=shown_name(said.tool_name), number=0)
    step.decision, step.reason, step.error = answer.reason.decision, answer.reason.code, STEP_LIMIT[1]
    return step.as_json() | {"step_id": None, "number": None} | _for_the_caller(answer)


def _traced(call: ToolCall, body: dict[str, Any]) -> Response:
    response = Response(body, headers={"Cache-Control": "no-store"})
    response["X-Trace-Id"], response["traceparent"] = call.trace.trace_id, call.trace.traceparent
    return response
