"""Runs what was approved: the approval is burnt, then the call goes through the one door with its permit."""

import datetime as dt
import logging
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from approvals.arguments import full_arguments
from approvals.models import PendingAction
from approvals.states import Status
from approvals.transitions import Refused, burn, ended_as, record_result, take_over
from observatory.pipeline import invoke
from telemetry.trace_context import TraceContext, continue_or_start
from tools.contract import Outcome, Permit, Ran, ToolCall
from tools.idempotency import store_answer
from tools.reasons import Reason, reason

log = logging.getLogger(__name__)
RAN_BUT_NOT_SETTLED = ("outcome_unrecorded",)
NO_BODY: Mapping[str, Any] = {}


def run_approved(action_id: uuid.UUID | str, now: dt.datetime) -> Outcome | Reason:
    """The action ran, at most once, and is settled; or the reason why it did not. Safe to call twice at once."""
    permit = burn(action_id, now)
    return reason(permit.code) if isinstance(permit, Refused) else run_permitted(permit, now)


def carry_on_lapsed(limit: int = 20) -> int:
    """Every run that was cut off, of a tool that may be called twice, was tried again; how many ran."""
    lapsed = PendingAction.objects.lapsed().filter(tool__idempotent=True).values_list("pk", flat=True)[:limit]
    return sum(_carried_on(pk) for pk in list(lapsed))


def _carried_on(action_id: uuid.UUID) -> bool:
    try:
        permit = take_over(action_id, timezone.now())
        return permit is not None and isinstance(run_permitted(permit, timezone.now()), Outcome)
    except Exception:
        log.exception("the run of action %s could not be carried on", action_id)
        return False


def run_permitted(permit: Permit, now: dt.datetime, trace: TraceContext | None = None) -> Outcome | Reason:
    """What the permit lets through has gone through the one door, once, and is settled."""
    try:
        return _run_permitted(permit, now, trace)
    except (DatabaseError, InterfaceError):
        # It was burnt: a sweep may carry it on, so "nothing ran" would not stay true.
        log.exception("action %s could not be settled", permit.action_id)
        return reason("outcome_unrecorded")


def _run_permitted(permit: Permit, now: dt.datetime, trace: TraceContext | None) -> Outcome | Reason:
    action = PendingAction.objects.select_related("agent_key__owner", "tool", "arguments").get(pk=permit.action_id)
    key, arguments = action.agent_key.in_force(now), full_arguments(action)
    if arguments is None or key is None:
        _ended(permit, Ran.NO, "part_unavailable", now)
        return reason("part_unavailable")
    outcome = invoke(
        ToolCall(
            tool_name=action.tool.name,
            arguments=arguments,
            door=permit.kind,
            trace=trace or trace_of(action),
            received_at=now,
            identified_as=key.public_id,
            session_id=action.session_id or None,
            permit=permit,
        )
    )
    if outcome.reason.code in RAN_BUT_NOT_SETTLED:
        # What is left of the outcome's record is tried once more; the answer stands whatever comes of that.
        with suppress(DatabaseError, InterfaceError):
            _settled(permit, Ran.UNKNOWN, outcome, now)
        return outcome
    # Stopped by a stage after the burn: nothing ran, and that is settled too.
    _settled(permit, Ran.NO, outcome, now)
    return outcome


def _settled(permit: Permit, ran: Ran, outcome: Outcome, now: dt.datetime) -> None:
    if _still_running(permit):
        _ended(permit, ran, outcome.reason.code, now, outcome.body)


def trace_of(action: PendingAction) -> TraceContext:
    """The trace of the call that asked, under a span of the action's own."""
    return continue_or_start(f"00-{action.trace_id}-{action.id.hex[:16]}-01")


def _still_running(permit: Permit) -> bool:
    return PendingAction.objects.filter(pk=permit.action_id, fence=permit.fence, status=Status.EXECUTING).exists()


def _ended(permit: Permit, ran: Ran, why: str, now: dt.datetime, body: Mapping[str, Any] = NO_BODY) -> None:
    status, code = ended_as(permit, ran, why)
    answer = store_answer(dict(body), "", {"pending_action_id": permit.action_id}, now)
    record_result(permit, status, code, answer, now)


def run_ready(limit: int = 50) -> int:
    """Everything approved that nobody has run yet has been tried; how many ran. One that fails holds up no other."""
    ready = PendingAction.objects.ready().order_by("created_at").values_list("pk", flat=True)[:limit]
    return sum(_tried(pk) for pk in list(ready))


def _tried(action_id: uuid.UUID) -> bool:
    try:
        return isinstance(run_approved(action_id, timezone.now()), Outcome)
    except Exception:
        log.exception("approved action %s could not be run", action_id)
        return False
