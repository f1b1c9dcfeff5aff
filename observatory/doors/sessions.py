"""Sessions of the harness: opened, looked at, closed."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.doors import openapi_sessions as openapi
from observatory.doors.body import json_object
from observatory.doors.key_authentication import caller_of, record_refusal, snapshot_of
from observatory.doors.parameters import member_text, number, refuse_other_members, refuse_unknown
from observatory.doors.problem import Refusal
from observatory.pipeline import through
from observatory.records import Stopwatch
from observatory.session_opening import Wanted, opened, shown
from telemetry.models import Session
from telemetry.redaction import redact_text
from telemetry.sessions import close_session, find
from telemetry.trace_context import continue_or_start
from tools.contract import Door, Stop, ToolCall
from tools.in_session import is_session_name
from tools.models.tool import RESERVED_ENDINGS
from tools.scopes import Scope
from tools.session_policy import SessionPolicy
from tools.stages.kill_switch import KillSwitchGuard
from tools.stages.rate_limit import RateLimit

STAGES_OF_OPENING = (RateLimit(), KillSwitchGuard())
STEPS_A_PAGE = 200
_MEMBERS = ("session_id", "model", "provider", "policy", "guardrails", "upstream", "reported")
_LONGEST = {"model": 120, "provider": 40, "upstream": 40}


class SessionsView(APIView):
    """A session is opened."""

    scope = Scope.SESSIONS_WRITE

    @openapi.open_session
    def post(self, request: Request) -> Response:
        wanted = _wanted(json_object(request))
        _refuse_where_none_may_be_opened(request)
        try:
            found = opened(wanted, caller_of(request), snapshot_of(request), timezone.now())
        except ValueError as problem:
            raise Refusal("invalid_parameter", str(problem)) from None
        except IntegrityError:
            raise Refusal("session_exists") from None
        return Response(shown(found.session) | {"tools_discovered": found.tools}, status=201)


def _refuse_where_none_may_be_opened(request: Request) -> None:
    """Opening reads every tool that the key sees: it counts towards the key's rate, and a frozen agent opens none."""
    now = timezone.now()
    call = ToolCall(
        "", {}, Door.SESSION, continue_or_start(None), now, key=caller_of(request), snapshot=snapshot_of(request)
    )
    answer = through(STAGES_OF_OPENING, call, Stopwatch())
    if isinstance(answer, Stop):
        record_refusal(caller_of(request), answer.code, request.path)
        raise Refusal(answer.code, answer.detail, **answer.facts)


def _wanted(body: Mapping[str, Any]) -> Wanted:
    refuse_other_members(body, _MEMBERS)
    session_id = body.get("session_id")
    if session_id is None:
        session_id = f"session_{uuid.uuid4().hex}"
    if not isinstance(session_id, str) or not is_session_name(session_id):
        raise Refusal("invalid_parameter", "session_id is 1 to 64 of: letters, digits, _ . : -")
    texts = {name: member_text(body, name, most) for name, most in _LONGEST.items()}
    if not texts["model"]:
        raise Refusal("invalid_parameter", "model names the model of the run, e.g. gpt-4o.")
    if not isinstance(body.get("reported", False), bool):
        raise Refusal("invalid_parameter", "reported is true or false.")
    try:
        policy = SessionPolicy.from_json(body.get("policy"))
    except ValueError as problem:
        raise Refusal("invalid_parameter", str(problem)) from None
    if phases := [name for name in (*(policy.allowlist or ()), *policy.blocklist) if name.endswith(RESERVED_ENDINGS)]:
        raise Refusal("invalid_parameter", f"{phases[0][:64]}: name the tool itself; both of its phases follow it.")
    _refuse_secrets([session_id, *texts.values(), *(policy.allowlist or ()), *policy.blocklist])
    return Wanted(
        session_id, **texts, policy=policy, guardrails=body.get("guardrails"), reported=body.get("reported", False)
    )


def _refuse_secrets(names: Iterable[str]) -> None:
    """Names are stored as they are, shown and compared: what looks like a secret must not come in as one."""
    found = list(names)
    if any("\x00" in name for name in found):
        raise Refusal("invalid_parameter", "A name in the session holds NUL.")
    if any(redact_text(name, len(name) + 1) != name for name in found):
        raise Refusal("invalid_parameter", "A name in the session holds what looks like a secret or an address.")


def _own(request: Request, session_id: str) -> Session:
    found = find(caller_of(request).agent_id, session_id) if is_session_name(session_id) else None
    if found is None:
        raise Refusal("unknown_session")
    return found


class SessionView(APIView):
    """One's own session, with a page of its steps."""

    scope = Scope.SESSIONS_WRITE

    @openapi.session
    def get(self, request: Request, session_id: str) -> Response:
        session = _own(request, session_id)
        refuse_unknown(request.query_params, ("after",))
        after = number(request.query_params.get("after", "0"), 2**31 - 1)
        steps = list(session.steps.filter(number__gt=after).order_by("number")[: STEPS_A_PAGE + 1])
        page = steps[:STEPS_A_PAGE]
        more = page[-1].number if len(steps) > STEPS_A_PAGE else None
        body = shown(session) | {"steps": [step.as_json() for step in page], "next_after": more}
        return Response(body, headers={"Cache-Control": "no-store"})


class CloseView(APIView):
    """One's own session takes no more steps."""

    scope = Scope.SESSIONS_WRITE

    @openapi.close
    def post(self, request: Request, session_id: str) -> Response:
        return Response(shown(close_session(_own(request, session_id), caller_of(request).actor)))
