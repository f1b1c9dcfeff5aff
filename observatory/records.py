"""How the one door writes down what happened: spans, events, answers to replay. Also how long each stage took."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from approvals.transitions import ended_as, record_result
from telemetry.guardrails import text_of
from telemetry.models import AuditEvent, Payload, Span
from telemetry.models.span import span_row_id
from telemetry.recorder import SYSTEM, Actor, Ruling, Subject, record_event, record_spans
from telemetry.redaction import redact_text
from telemetry.sessions import StepEnd, end_step, note_run
from telemetry.visible import visible
from tools import idempotency
from tools.contract import Execution, Outcome, Ran, Stop, ToolCall, Verdict
from tools.in_session import begin_late, labels_of
from tools.key_use import note_use
from tools.reasons import DRY_RUN, ERROR, HELD, OK, PROPOSED, REPLAYED, Reason, reason
from tools.result_limit import bounded
from tools.session_policy import dry_run_text
from tools.stages.guardrails import WITHHELD

log = logging.getLogger(__name__)
STOP_EVENTS = {
    Verdict.DENY: "call.denied",
    Verdict.HOLD: "call.held",
    Verdict.REPLAY: "call.replayed",
    Verdict.PROPOSE: "call.proposed",
}
SETTLE_TRIES = 3
# OpenTelemetry, semantic conventions of MCP: a tool that answered isError.
TOOL_ERROR = "tool_error"


class Stopwatch:
    """Microseconds of each stage of one call."""

    def __init__(self) -> None:
        self.stages_us: dict[str, int] = {}
        self.current = ""
        # Why a stage stopped the call, in a sentence.
        self.detail = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.current = name
        began = time.perf_counter_ns()
        try:
            yield
        finally:
            self.stages_us[name] = (time.perf_counter_ns() - began) // 1000

    def record_event(self, type_: str, call: ToolCall, why: Reason | None = None, **data: Any) -> AuditEvent:
        """The call's event is part of the running transaction."""
        return record_event(
            type_,
            _actor(call),
            Subject("tool", str(call.tool.id) if call.tool else "", _tool_name(call)),
            ruling=_ruling(call, why),
            trace_id=call.trace.trace_id,
            data={"door": call.door.value, "stage": self.current}
            | ({"args_sha256": call.digest} if call.digest else {})
            | ({"confirmed_by_key": True} if call.confirmed_by_key else {})
            | ({"pending_action_id": call.permit.action_id} if call.permit else {})
            | _in_session(call)
            | data,
        )

    def record_span(self, call: ToolCall, why: Reason) -> None:
        """The call's span is part of the running transaction."""
        now = timezone.now()
        ruling = _ruling(call, why)
        in_common = {
            "door": call.door.value,
            "tool_name": _tool_name(call),
            "agent": call.key.agent_name if call.key else "",
            "agent_key": call.key.public_id if call.key else "",
            "access_subject": call.key.access_subject if call.key else "",
            "session_id": call.in_session.session.session_id if call.in_session.session else "",
        }
        record_spans(
            [
                Span(
                    id=span_row_id(call.trace.trace_id, call.trace.span_id),
                    trace_id=call.trace.trace_id,
                    span_id=call.trace.span_id,
                    parent_span_id=call.trace.parent_span_id,
                    start_time=call.received_at,
                    end_time=max(now, call.received_at),
                    decision=ruling.decision,
                    reason=ruling.reason,
                    stage=self.current,
                    policy=ruling.policy,
                    policy_revision=ruling.policy_revision,
                    rule=ruling.rule,
                    error_type=_error_type(why),
                    stages_us=self.stages_us,
                    attributes=_guardrail_attributes(call),
                    **in_common,
                ),
                *call.children.rows(in_common),
            ]
        )

    def record_step(self, call: ToolCall, why: Reason, end: Execution | None = None, action_id: str = "") -> None:
        """Where the call is a step of a session, that has ended too, in the running transaction."""
        begun, tool = call.in_session.begun, call.tool
        has_run = end is not None and end.ran is not Ran.NO and tool is not None
        if begun is None:
            if has_run and call.in_session.session is not None and tool is not None and call.key is not None:
                # An approval or a commit of what was a step before.
                note_run(call.key.agent_id, call.in_session.session.session_id, tool.name, labels_of(tool))
            return
        is_dry = why.decision == DRY_RUN
        output = dry_run_text(call.tool_name) if is_dry else text_of(end.output) if end is not None else ""
        stopped = why.decision not in (OK, HELD, PROPOSED, REPLAYED, DRY_RUN)
        call.in_session.ended = end_step(
            begun,
            StepEnd(
                ruling=_ruling(call, why),
                output_text=output,
                error=(end.detail if end is not None and end.detail else self.detail or why.title) if stopped else "",
                dry_run=is_dry,
                signals=tuple(call.signals),
                trace_id=call.trace.trace_id,
                pending_action_id=action_id,
                tool_ran=tool.name if has_run and tool is not None else "",
                labels=labels_of(tool) if has_run and tool is not None else frozenset(),
            ),
            timezone.now(),
        )


def _in_session(call: ToolCall) -> dict[str, Any]:
    """What an event says of the call's session and of what detectors found; nothing where there is nothing."""
    place, found = call.in_session, _guardrail_attributes(call)
    step = {"session_id": place.session.session_id} if place.session else {}
    return step | ({"step": place.begun.number} if place.begun else {}) | found


def _guardrail_attributes(call: ToolCall) -> dict[str, Any]:
    """The violations, as names and figures."""
    found = [
        {"provider": s.provider, "metric": s.metric, "stage": s.stage, "score": s.score, "kinds": dict(s.kinds)}
        for s in call.signals
        if s.violated
    ]
    return {"guardrail_violations": found} if found else {}


def _tool_name(call: ToolCall) -> str:
    """The name as it may be stored: of one that no tool has, secrets are masked and odd characters escaped."""
    return call.tool.name if call.tool else visible(redact_text(call.tool_name, 64))[:64]


def _error_type(why: Reason) -> str:
    """What failed, in the conventions' word where the tool itself said so; nothing of what did not fail."""
    if why.decision != ERROR:
        return ""
    return TOOL_ERROR if why.code in ("tool_error", "tool_reported_error") else why.code


def _actor(call: ToolCall) -> Actor:
    return call.key.actor if call.key else SYSTEM


def _ruling(call: ToolCall, why: Reason | None) -> Ruling:
    decision = call.decision
    return Ruling(
        decision=why.decision if why else "",
        reason=why.code if why else "",
        policy=decision.policy if decision else "",
        policy_revision=decision.revision if decision else None,
        rule=decision.rule[:120] if decision else "",
    )


def record_stop(stop: Stop, watch: Stopwatch) -> dict[str, Any]:
    """The stop stands in the record, with what it brings along; the facts that came of that."""
    assert stop.call
    is_replay = stop.verdict is Verdict.REPLAY and stop.code != WITHHELD
    call, why = stop.call, reason("idempotent_replay") if is_replay else stop.reason
    watch.detail = stop.detail
    with transaction.atomic():
        begin_late(call, stop.code)
        facts = dict(stop.record()) if stop.record else {}
        subject = {"pending_action_id": facts["pending_action_id"]} if "pending_action_id" in facts else {}
        watch.record_event(STOP_EVENTS[stop.verdict], call, why, **subject)
        watch.record_span(call, why)
        watch.record_step(call, why, action_id=str(facts.get("pending_action_id", "")))
        if call.key:
            note_use(call.key.id, call.received_at)
    return facts


def settle_read(call: ToolCall, execution: Execution, watch: Stopwatch, event: str) -> Outcome:
    """What changed nothing is recorded in one transaction; without the record there is no answer."""
    assert call.key
    why = reason(execution.code)
    with transaction.atomic():
        body, facts = bounded(call, execution)
        watch.record_event(event, call, why)
        watch.record_span(call, why)
        watch.record_step(call, why, execution)
        note_use(call.key.id, call.received_at)
    return _outcome(call, execution, body, facts)


def settle(call: ToolCall, execution: Execution, claim: idempotency.Claim | None, watch: Stopwatch) -> Outcome:
    """The outcome is recorded before the answer leaves. It is tried again on a fresh connection, and never denies."""
    for attempt in range(SETTLE_TRIES):
        try:
            if attempt and _is_recorded(call):
                # Only the word of it was lost: the transaction had been committed.
                return _outcome(call, execution, *_within_limit(call, execution))
            return _settle(call, execution, claim, watch)
        except (DatabaseError, InterfaceError):
            log.exception("outcome not recorded, try %s, trace %s", attempt + 1, call.trace.trace_id)
            if not connection.in_atomic_block:
                connection.close()
                time.sleep(0.1 * 5**attempt)  # a database that restarts needs a moment
        except Exception:
            # The effect has happened: a fault of ours must not turn it into a denial.
            log.exception("outcome not recorded, trace %s", call.trace.trace_id)
            break
    call.in_session.ended = None
    unrecorded = Execution(
        "outcome_unrecorded", execution.ran, detail=f"Look for the trace {call.trace.trace_id} in the log."
    )
    return _outcome(call, unrecorded, {}, {})


def _is_recorded(call: ToolCall) -> bool:
    return Span.objects.filter(trace_id=call.trace.trace_id, span_id=call.trace.span_id).exists()


def _within_limit(call: ToolCall, execution: Execution) -> tuple[dict[str, Any], dict[str, Any]]:
    with transaction.atomic():
        return bounded(call, execution)


def _settle(call: ToolCall, execution: Execution, claim: idempotency.Claim | None, watch: Stopwatch) -> Outcome:
    assert call.key and call.tool
    now, why = timezone.now(), reason(execution.code)
    with transaction.atomic():
        body, facts = bounded(call, execution)
        outcome = _outcome(call, execution, body, facts)
        if claim is not None:
            _settle_claim(claim, execution, outcome, now)
        if call.permit is not None:
            _settle_action(call, execution, outcome, now)
        watch.record_event("call.settled", call, why, ran=execution.ran.value)
        watch.record_span(call, why)
        watch.record_step(call, why, execution)
        note_use(call.key.id, call.received_at)
    return outcome


def _settle_claim(claim: idempotency.Claim, execution: Execution, outcome: Outcome, now: Any) -> None:
    if execution.ran is Ran.NO and execution.code != "tool_error":
        idempotency.release(claim)
        return
    answer = idempotency.store_answer(outcome.body, outcome.detail, outcome.facts, now)
    idempotency.settle(claim, execution.code, answer, now)


def _settle_action(call: ToolCall, execution: Execution, outcome: Outcome, now: Any) -> None:
    assert call.permit
    status, code = ended_as(call.permit, execution.ran, execution.code)
    answer: Payload = idempotency.store_answer(outcome.body, outcome.detail, outcome.facts, now)
    if not record_result(call.permit, status, code, answer, now):
        log.error("the outcome of action %s was not taken: it has moved on", call.permit.action_id)


def _outcome(call: ToolCall, execution: Execution, body: dict[str, Any], facts: dict[str, Any]) -> Outcome:
    if execution.code == WITHHELD:
        facts = {**facts, "executed": execution.ran is not Ran.NO}
    return Outcome(reason(execution.code), body, call.trace, execution.detail, facts, call=call)
