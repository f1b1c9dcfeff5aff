"""What Celery does with what was approved; it stands here because it needs the one door."""

from celery import shared_task
from django.utils import timezone

from approvals.actions import recover_lapsed
from observatory.approved import carry_on_lapsed, run_approved, run_ready


@shared_task(name="observatory.run_action")
def run_action(action_id: str) -> None:
    """One approved action ran, or somebody else ran it."""
    run_approved(action_id, timezone.now())


@shared_task(name="observatory.run_approved")
def run_approved_actions() -> int:
    """The sweep behind `run_action`: a lost message delays an approved action, it does not lose it."""
    return run_ready()


@shared_task(name="observatory.recover_actions")
def recover_actions() -> int:
    """What was cut off and may be carried on ran again; the rest is `unknown`, for an operator to settle."""
    carried_on = carry_on_lapsed()
    return carried_on + recover_lapsed(timezone.now())
