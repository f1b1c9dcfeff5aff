"""What Celery does for tools. Each task may run twice at once."""

from celery import shared_task
from django.utils import timezone

from tools import idempotency


@shared_task(name="tools.sweep_idempotency")
def sweep_idempotency() -> tuple[int, int]:
    return idempotency.sweep(timezone.now())
