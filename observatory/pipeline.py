"""The one door: every call, whichever way it came in, passes these stages in this order, and leaves a record."""

import logging
from collections.abc import Iterable

from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from approvals.gate import RiskGate
from approvals.proposing import told_again
from observatory.records import Stopwatch, record_stop, settle, settle_read
from telemetry.recorder import count_refusal
from tools import idempotency
from tools.contract import Execution, Outcome, Pass, Ran, Stage, Stop, ToolCall, Verdict, deny
from tools.executors import EXECUTORS, dry_run
from tools.stages.authenticate import Authenticate
from tools.stages.guardrails import InputGuardrails, screen_output, screen_replay
from tools.stages.idempotency import Idempotency
from tools.stages.kill_switch import KillSwitchGuard
from tools.stages.policy_guard import PolicyGuard
from tools.stages.rate_limit import RateLimit
from tools.stages.resolve_tool import ResolveTool
from tools.stages.schema_guard import SchemaGuard
from tools.stages.session_guard import SessionGuard

log = logging.getLogger(__name__)

STAGES: tuple[Stage, ...] = (
    Authenticate(),
    RateLimit(),
    ResolveTool(),
    KillSwitchGuard(),
    SessionGuard(),
    SchemaGuard(),
    PolicyGuard(),
    Idempotency(),
    InputGuardrails(),
    RiskGate(),
)
# What an approved call need not pass again: its rate was counted when it was made.
PASSED_ONCE = frozenset({RateLimit.name})


def invoke(call: ToolCall) -> Outcome:
    """The call was answered, at most one effect happened, and what happened is recorded. Raises nothing."""
    watch = Stopwatch()
    try:
        return _invoke(call, watch)
    except idempotency.ClaimLostError:
        # Another call with the same key was a moment faster; what it means for this one is now in its record.
        return _after_lost_claim(call, watch)
    except (DatabaseError, InterfaceError):
        log.exception("the database failed before anything ran, trace %s", call.trace.trace_id)
        return _answer(deny("database_unavailable", call=call), watch)
    except Exception:
        # A fault of ours, before anything ran: what comes after an effect is settled and raises nothing.
        log.exception("the call could not be decided, trace %s", call.trace.trace_id)
        return _answer(deny("part_unavailable", call=call), watch)


def _invoke(call: ToolCall, watch: Stopwatch) -> Outcome:
    answer = through(STAGES, call, watch)
    if isinstance(answer, Stop):
        return _stopped(answer, watch)
    return _run(answer.call, watch)


def through(stages: Iterable[Stage], call: ToolCall, watch: Stopwatch, *, counting: bool = True) -> Pass | Stop:
    """The first Stop, or the Pass of the last stage. A stage that raises denies. Asked again, nothing is counted."""
    for stage in stages:
        if call.permit is not None and stage.name in PASSED_ONCE:
            continue
        try:
            with watch.stage(stage.name):
                answer = stage.check(call) if counting else stage.explain(call)
        except (DatabaseError, InterfaceError):
            raise
        except Exception:
            log.exception("stage %s failed, trace %s", stage.name, call.trace.trace_id)
            return deny("part_unavailable", f"The stage {stage.name} failed, so the call was denied.", call)
        if isinstance(answer, Stop):
            return answer
        call = answer.call
    return Pass(call)


def _stopped(stop: Stop, watch: Stopwatch) -> Outcome:
    if stop.is_unproven:
        count_refusal(stop.code, timezone.now())
        return _answer(stop, watch)
    if stop.verdict is Verdict.REPLAY:
        stop = screen_replay(stop)
    facts = record_stop(stop, watch)
    if stop.verdict is Verdict.REPLAY and stop.call and stop.call.intent:
        stop = told_again(stop, timezone.now())
    return _answer(stop, watch, facts)


def _answer(stop: Stop, watch: Stopwatch, facts: dict[str, object] | None = None) -> Outcome:
    assert stop.call
    found = {**stop.facts, **(facts or {})}
    body = found.pop("body", {})
    return Outcome(
        reason=stop.reason,
        body=body if isinstance(body, dict) else {},
        trace=stop.call.trace,
        detail=stop.detail,
        facts=found,
        replayed=stop.verdict == "replay",
        stage=watch.current,
        call=stop.call,
    )


def _run(call: ToolCall, watch: Stopwatch) -> Outcome:
    assert call.tool and call.decision
    if call.decision.dry_run:
        return settle_read(call, dry_run.execute(call), watch, "call.simulated")
    if call.tool.read_only and call.permit is None:
        return settle_read(call, _execute(call, watch), watch, "call.answered")
    claim = _intend(call, watch)
    execution = _execute(call, watch)
    return settle(call, execution, claim, watch)


def _intend(call: ToolCall, watch: Stopwatch) -> idempotency.Claim | None:
    """Before anything happens it is durable that it is about to, and whose intention it is."""
    with watch.stage("intend"), transaction.atomic():
        claim = idempotency.claim(call, call.received_at)
        watch.record_event("call.intended", call)
    return claim


def _execute(call: ToolCall, watch: Stopwatch) -> Execution:
    assert call.tool
    executor = EXECUTORS.get(call.tool.executor)
    if executor is None:
        return Execution("tool_unreachable", Ran.NO, detail="This installation can't run tools of this kind.")
    if call.cancellation is not None and call.cancellation.is_cancelled:
        return Execution("call_cancelled", Ran.NO, detail="The call was taken back before the tool was asked.")
    try:
        with watch.stage("execute"):
            execution = executor(call)
    except Exception:
        log.exception("executor %s failed, trace %s", call.tool.executor, call.trace.trace_id)
        return Execution("tool_failed", Ran.UNKNOWN, detail="The tool failed; the installation's log has the cause.")
    try:
        return screen_output(call, execution)
    except Exception:
        log.exception("the output could not be screened, trace %s", call.trace.trace_id)
        return Execution(
            "tool_output_invalid", execution.ran, detail="The output could not be screened: it is withheld."
        )


def _after_lost_claim(call: ToolCall, watch: Stopwatch) -> Outcome:
    try:
        answer = through(STAGES, call, watch, counting=False)
        if isinstance(answer, Pass):
            answer = deny("idempotency_in_flight", call=answer.call, retry_after_s=1)
        return _stopped(answer, watch)
    except idempotency.ClaimLostError:
        return _stopped(deny("idempotency_in_flight", call=call, retry_after_s=1), watch)
    except (DatabaseError, InterfaceError):
        log.exception("the database failed, trace %s", call.trace.trace_id)
        return _answer(deny("database_unavailable", call=call), watch)
