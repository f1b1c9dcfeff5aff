"""What Celery does for approvals. Each task may run twice at once."""

from celery import shared_task
from django.utils import timezone

from approvals import actions


@shared_task(name="approvals.expire_actions")
def expire_actions() -> int:
    return actions.expire_overdue(timezone.now())


@shared_task(name="approvals.recover_actions")
def recover_actions() -> int:
    return actions.recover_lapsed(timezone.now())
