"""Runs what was approved: the approval is burnt, then the call goes through the one door with its permit."""

import datetime as dt
import logging
import uuid
from typing import Any

from django.utils import timezone

from approvals.models import PendingAction
from approvals.states import Status
from approvals.transitions import Refused, burn, record_result
from observatory.pipeline import invoke
from telemetry.canonical import NotCanonical, parse
from telemetry.encryption import CannotOpen
from telemetry.recorder import open_payload
from telemetry.trace_context import TraceContext, continue_or_start
from tools.contract import Door, Outcome, Permit, ToolCall
from tools.idempotency import store_answer
from tools.reasons import Reason, reason

log = logging.getLogger(__name__)


def run_approved(action_id: uuid.UUID | str, now: dt.datetime) -> Outcome | Reason:
    """The action ran, at most once, and is settled; or the reason why it did not. Safe to call twice at once."""
    arguments = _arguments(action_id)
    permit = burn(action_id, now)
    if isinstance(permit, Refused):
        return reason(permit.code)
    action = PendingAction.objects.select_related("agent_key__owner", "tool").get(pk=action_id)
    key = action.agent_key.in_force(now)
    if arguments is None or key is None:
        _ended(permit, Status.FAILED, "part_unavailable", now)
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
        unrecorded = outcome.reason.code == "outcome_unrecorded"
        _ended(permit, Status.UNKNOWN if unrecorded else Status.FAILED, outcome.reason.code, now)
    return outcome


def _arguments(action_id: uuid.UUID | str) -> Any:
    """What was approved, or None where its bytes are gone or can't be opened. They may be longer than what was sent."""
    action = PendingAction.objects.select_related("arguments").filter(pk=action_id).first()
    if action is None or action.arguments is None:
        return None
    try:
        content = open_payload(action.arguments)
        return parse(content, max_bytes=len(content))
    except (CannotOpen, NotCanonical):
        log.exception("the arguments of action %s can't be read", action_id)
        return None


def _trace_of(action: PendingAction) -> TraceContext:
    return continue_or_start(f"00-{action.trace_id}-{action.id.hex[:16]}-01")


def _still_running(permit: Permit) -> bool:
    return PendingAction.objects.filter(pk=permit.action_id, fence=permit.fence, status=Status.EXECUTING).exists()


def _ended(permit: Permit, status: Status, code: str, now: dt.datetime) -> None:
    answer = store_answer({}, "", {"pending_action_id": permit.action_id}, now)
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
