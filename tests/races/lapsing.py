"""Time that has passed, without waiting for it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction
from django.utils import timezone

from approvals.models import PendingAction
from approvals.transitions import Refused, burn_locked, locked_for_burn
from tools.contract import Door, Permit


def past() -> dt.datetime:
    return timezone.now() - dt.timedelta(minutes=1)


def lapse(action_id: Any) -> None:
    """The lease of its run is over."""
    rows = PendingAction.objects.filter(pk=action_id, status="executing")
    assert rows.update(lease_until=past()) == 1


def expire(action_id: Any) -> bool:
    """Its time to be decided or committed is over; False where it has ended otherwise."""
    rows = PendingAction.objects.filter(pk=action_id, status__in=["pending", "approved"])
    return bool(rows.update(created_at=past() - dt.timedelta(hours=1), expires_at=past()))


def run_out(proposal_id: Any, *, unless_refused: bool = False) -> Permit | None:
    """The proposal was burnt, its run never came, and its lease is over. None where the burn was refused, if it may."""
    with transaction.atomic():
        action = locked_for_burn(proposal_id)
        assert action
        permit = burn_locked(action, Door.COMMIT, timezone.now())
    if unless_refused and isinstance(permit, Refused):
        return None
    assert isinstance(permit, Permit)
    lapse(proposal_id)
    return permit
