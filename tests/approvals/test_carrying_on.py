"""Runs that were cut off: carried on where the tool may be called twice, otherwise left for an operator."""

import datetime as dt

import pytest
from django.utils import timezone

from approvals.actions import decide, recover_lapsed
from approvals.models import PendingAction
from approvals.states import Status
from approvals.transitions import burn
from observatory.approved import carry_on_lapsed
from observatory.tasks import recover_actions
from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM
from tools.actions.policies import publish
from tools.models import Tool

pytestmark = pytest.mark.django_db


@pytest.fixture
def cut_off(world):
    """An approved change of a customer's status, burnt by a process that died. The tool is declared idempotent."""
    caller = world.caller(world.allowing())
    body = caller.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": "vip"}).json()
    action = PendingAction.objects.get(pk=body["pending_action_id"])
    decide(action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    burn(action.pk, timezone.now())
    return lapse(action)


def lapse(action):
    PendingAction.objects.filter(pk=action.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    action.refresh_from_db()
    return action


def status_of(world):
    world.acme.refresh_from_db()
    return world.acme.status


def test_a_run_of_an_idempotent_tool_is_carried_on_once_under_the_next_fence(world, cut_off):
    assert recover_actions() == 1
    cut_off.refresh_from_db()
    assert (cut_off.status, cut_off.fence, status_of(world)) == (Status.DONE, 2, "vip")
    assert AuditEvent.objects.filter(type="action.retried").count() == 1
    assert recover_actions() == 0


def not_idempotent(action, world):
    Tool.objects.filter(pk=action.tool_id).update(idempotent=False)


def policy_published(action, world):
    publish(action.policy_revision.policy, SYSTEM)


def cut_off_three_times(action, world):
    PendingAction.objects.filter(pk=action.pk).update(fence=3)


@pytest.mark.parametrize("change", [not_idempotent, policy_published, cut_off_three_times])
def test_what_may_not_be_carried_on_is_unknown(world, cut_off, change):
    change(cut_off, world)
    assert recover_actions() == 1
    cut_off.refresh_from_db()
    assert (cut_off.status, cut_off.reason, status_of(world)) == (Status.UNKNOWN, "outcome_unknown", "active")
    assert not AuditEvent.objects.filter(type="action.retried").exists()


def test_what_a_sweep_had_no_time_for_is_left_for_the_next(world, cut_off):
    """Giving up first would make `unknown` of what could have been carried on."""
    assert carry_on_lapsed(limit=0) == 0
    assert recover_lapsed(timezone.now()) == 0
    cut_off.refresh_from_db()
    assert cut_off.status == Status.EXECUTING
    assert recover_actions() == 1


def test_that_the_second_run_did_nothing_says_nothing_of_the_first(world, cut_off):
    world.acme.delete()
    assert recover_actions() == 1
    cut_off.refresh_from_db()
    assert (cut_off.status, cut_off.reason) == (Status.UNKNOWN, "outcome_unknown")


def test_a_run_whose_lease_holds_is_left_alone(world, cut_off):
    PendingAction.objects.filter(pk=cut_off.pk).update(lease_until=timezone.now() + dt.timedelta(minutes=5))
    assert recover_actions() == 0
    cut_off.refresh_from_db()
    assert (cut_off.status, cut_off.fence) == (Status.EXECUTING, 1)
