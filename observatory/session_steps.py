"""One step of a session: what was said passes the stages of words, what was called passes the one door."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from approvals.models import PendingAction
from observatory.committed import CommitAnswer
from observatory.pipeline import through
from observatory.records import Stopwatch
from telemetry.guardrails import text_of
from telemetry.models import Step
from telemetry.recorder import Ruling, Subject, record_event
from telemetry.sessions import BegunStep, StepEnd, end_step
from tools.contract import Pass, Stop, ToolCall, deny
from tools.in_session import policy_of
from tools.reasons import DRY_RUN, Reason, reason
from tools.session_policy import dry_run_text
from tools.stages.guardrails import InputGuardrails
from tools.stages.kill_switch import KillSwitchGuard
from tools.stages.rate_limit import RateLimit
from tools.stages.session_guard import SessionGuard

# The stages of a call that are about more than a tool. Who asks is known from the door.
STAGES_OF_WORDS = (RateLimit(), KillSwitchGuard(), SessionGuard(), InputGuardrails())


def say(call: ToolCall) -> Stop | None:
    """What was said is a step of the session, allowed or refused; the Stop where there was none, or it was refused."""
    watch = Stopwatch()
    answer = through(STAGES_OF_WORDS, call, watch)
    stop = answer if isinstance(answer, Stop) else None
    if call.in_session.begun is not None:
        _told(call, stop)
    return stop


def _told(call: ToolCall, stop: Stop | None) -> None:
    begun, key = call.in_session.begun, call.key
    assert begun and key
    why = stop.reason if stop else reason("allowed")
    with transaction.atomic():
        error = (stop.detail or why.title) if stop else ""
        end = StepEnd(_ruling(why), error=error, signals=tuple(call.signals), trace_id=call.trace.trace_id)
        step = call.in_session.ended = end_step(begun, end, timezone.now())
        violations = step.violations if step else 0
        record_event(
            "session.step",
            key.actor,
            Subject("session", str(begun.session.pk), begun.session.session_id),
            ruling=_ruling(why),
            trace_id=call.trace.trace_id,
            data={"step": begun.number, "role": begun.said.role, "violations": violations},
        )


def _ruling(why: Reason) -> Ruling:
    return Ruling(why.decision, why.code)


def commit_in_session(
    call: ToolCall, proposal_id: uuid.UUID | None, run: Callable[[], CommitAnswer]
) -> CommitAnswer | Stop:
    """A commit that names a session is a step of it: guarded as one, run, and told as it came out."""
    answer = SessionGuard().check(call)
    if isinstance(answer, Stop) and call.in_session.begun is None:
        return answer
    committed = _committed(call, proposal_id, run) if isinstance(answer, Pass) else answer
    if call.in_session.begun is not None:
        _end_commit(call.in_session.begun, call, committed)
    return committed


def _committed(call: ToolCall, proposal_id: uuid.UUID | None, run: Callable[[], CommitAnswer]) -> CommitAnswer | Stop:
    """A session commits what was proposed in it, under the same guardrails; one that runs dry commits nothing."""
    session = call.in_session.session
    assert session and call.key and call.tool
    if policy_of(session).dry_run:
        would = {"call": call.tool_name, "arguments": dict(call.arguments)}
        return CommitAnswer(reason("dry_run"), "", {"dry_run": True, "would": would})
    of_this_session = PendingAction.objects.asked_by(call.key.agent_id).filter(session_id=session.session_id)
    if proposal_id is None or not of_this_session.filter(pk=proposal_id).exists():
        return deny("unknown_proposal", "No such proposal was made in this session.", call)
    return run()


def _end_commit(begun: BegunStep, call: ToolCall, came_to: CommitAnswer | Stop) -> None:
    why = came_to.reason
    result = came_to.body.get("result") if isinstance(came_to, CommitAnswer) and came_to.body else None
    with transaction.atomic():
        is_dry = why.decision == DRY_RUN
        end = StepEnd(
            _ruling(why),
            output_text=dry_run_text(call.tool_name) if is_dry else text_of(result) if why.status < 300 else "",
            dry_run=is_dry,
            error="" if why.status < 300 else came_to.detail or why.title,
            trace_id=call.trace.trace_id,
        )
        call.in_session.ended = end_step(begun, end, timezone.now())


def step_of(call: ToolCall) -> Step | None:
    """The step that the call was, as it is on record; unfinished where its record failed."""
    begun, ended = call.in_session.begun, call.in_session.ended
    return ended or (Step.objects.filter(pk=begun.step_id).first() if begun is not None else None)
