"""What Celery does for approvals. Each task may run twice at once."""

from celery import shared_task
from django.utils import timezone

from approvals import actions, notices
from approvals.models import Nonce


@shared_task(name="approvals.expire_actions")
def expire_actions() -> int:
    return actions.expire_overdue(timezone.now())


@shared_task(name="approvals.revoke_changed")
def revoke_changed() -> int:
    return actions.revoke_what_changed(timezone.now())


@shared_task(name="approvals.sweep_nonces")
def sweep_nonces() -> int:
    """Spent numbers whose token has expired are gone: the token is refused for its age, and its action was burnt."""
    return Nonce.objects.expired().delete()[0]


@shared_task(name="approvals.send_notices")
def send_notices() -> int:
    return notices.send_due(timezone.now())
