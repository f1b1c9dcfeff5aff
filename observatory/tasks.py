"""What Celery does with what was approved; it stands here because it needs the one door."""

from celery import shared_task
from django.utils import timezone

from observatory.approved import run_approved, run_ready


@shared_task(name="observatory.run_action")
def run_action(action_id: str) -> None:
    """One approved action ran, or somebody else ran it."""
    run_approved(action_id, timezone.now())


@shared_task(name="observatory.run_approved")
def run_approved_actions() -> int:
    """The sweep behind `run_action`: a lost message delays an approved action, it does not lose it."""
    return run_ready()
