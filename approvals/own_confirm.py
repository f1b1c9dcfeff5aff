"""The one vote that may be enough: of the owner of the key that asked, where the policy says so."""

import datetime as dt
import uuid

from django.contrib.auth import get_user_model

from approvals.actions import Decided, decide
from approvals.gate import may_decide_alone
from approvals.models import PendingAction
from approvals.states import Status
from tools.contract import Stop, deny
from tools.snapshot import KeyView

VIA = "mcp"


def may_be_confirmed(action: PendingAction, key: KeyView) -> bool:
    """A held call of this very key that still waits, under the conditions of the risk gate."""
    return (
        action.status == Status.PENDING
        and action.proposal_id is None
        and action.agent_key_id == key.id
        and action.self_confirm
        and may_decide_alone(key, quorum=action.quorum, groups=action.eligible_groups)
    )


def confirm(action_id: uuid.UUID, key: KeyView, now: dt.datetime) -> Decided | Stop:
    """The key's owner has approved the action, alone. Otherwise a Stop, and nothing changed. Locks: as `decide`."""
    action = PendingAction.objects.asked_by(key.agent_id).filter(pk=action_id).first()
    if action is None:
        return deny("unknown_action")
    if action.status == Status.PENDING and not may_be_confirmed(action, key):
        return deny("own_request", "Somebody else must agree to this call.")
    owner = get_user_model().objects.get(pk=key.owner_id)
    return decide(
        action_id,
        owner,
        approve=True,
        reason="",
        via=VIA,
        now=now,
        seen_digest=action.args_digest,
        access_subject=key.access_subject,
    )
