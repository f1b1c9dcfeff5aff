"""Runs what was approved: the approval is burnt, then the call goes through the one door with its permit."""

import datetime as dt
import uuid
from typing import Any

from django.utils import timezone

from approvals.models import PendingAction
from approvals.states import Status
from approvals.transitions import Refused, burn, record_result
from observatory.pipeline import invoke
from telemetry.canonical import parse
from telemetry.encryption import CannotOpen
from telemetry.recorder import open_payload
from telemetry.trace_context import TraceContext, continue_or_start
from tools.contract import Door, Outcome, Permit, ToolCall
from tools.idempotency import store_answer
from tools.reasons import Reason, reason


def run_approved(action_id: uuid.UUID | str, now: dt.datetime) -> Outcome | Reason:
    """The action ran, at most once, and is settled; or the reason why it did not. Safe to call twice at once."""
    permit = burn(action_id, now)
    if isinstance(permit, Refused):
        return reason(permit.code)
    action = PendingAction.objects.select_related("arguments", "agent_key", "tool").get(pk=action_id)
    arguments, key = _arguments(action), action.agent_key.in_force(now)
    if arguments is None or key is None:
        _failed(permit, "part_unavailable", now)
        return reason("part_unavailable")
    outcome = invoke(
        ToolCall(
            tool_name=action.tool.name,
            arguments=arguments,
            door=Door.APPROVAL,
            trace=_trace_of(action),
            received_at=now,
            identified_as=key.public_id,
            permit=permit,
        )
    )
    # Stopped by a stage after the burn: nothing ran, and that is settled too.
    if _still_running(permit):
        _failed(permit, outcome.reason.code, now)
    return outcome


def _arguments(action: PendingAction) -> Any:
    if action.arguments is None:
        return None
    try:
        return parse(open_payload(action.arguments))
    except CannotOpen:
        return None


def _trace_of(action: PendingAction) -> TraceContext:
    return continue_or_start(f"00-{action.trace_id}-{action.id.hex[:16]}-01")


def _still_running(permit: Permit) -> bool:
    return PendingAction.objects.filter(pk=permit.action_id, fence=permit.fence, status=Status.EXECUTING).exists()


def _failed(permit: Permit, code: str, now: dt.datetime) -> None:
    answer = store_answer({}, "", {"pending_action_id": permit.action_id}, now)
    record_result(permit, Status.FAILED, code, answer, now)


def run_ready(limit: int = 50) -> int:
    """Everything approved that nobody has run yet has been tried; how many ran."""
    now = timezone.now()
    ready = PendingAction.objects.ready(now).order_by("created_at").values_list("pk", flat=True)[:limit]
    return sum(isinstance(run_approved(pk, timezone.now()), Outcome) for pk in ready)
