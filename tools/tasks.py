"""What Celery does for tools. Each task may run twice at once."""

import logging

from celery import current_app, shared_task
from django.core.cache import cache
from django.utils import timezone
from kombu.exceptions import OperationalError

from tools import idempotency
from tools.actions.upstream_offers import look_at
from tools.models import Upstream
from tools.upstreams.heard import Heard
from tools.upstreams.pool import POOL

log = logging.getLogger(__name__)
LOOK_AT_UPSTREAM = "tools.look_at_upstream"


@shared_task(name="tools.sweep_idempotency")
def sweep_idempotency() -> tuple[int, int]:
    return idempotency.sweep(timezone.now())


@shared_task(name="tools.look_at_upstreams")
def look_at_upstreams() -> int:
    """Each enabled upstream is looked at by a task of its own, so that a slow one holds up no other."""
    found = list(Upstream.objects.filter(enabled=True).values_list("pk", flat=True))
    for upstream_id in found:
        current_app.send_task(LOOK_AT_UPSTREAM, [upstream_id])
    return len(found)


@shared_task(name=LOOK_AT_UPSTREAM, expires=60)
def look_at_upstream(upstream_id: int) -> str:
    """What the upstream offers is on record; why not, where it is down."""
    upstream = Upstream.objects.filter(pk=upstream_id, enabled=True).first()
    if upstream is None or not cache.add(f"look:{upstream_id}", 1, timeout=2 * upstream.timeout_s + 30):
        # Another worker looks just now: a second look would only wait for its row.
        return ""
    try:
        return look_at(upstream).error
    finally:
        cache.delete(f"look:{upstream_id}")


def look_soon(upstream_id: int) -> None:
    """A worker was told to look; where the broker is down, the next sweep does."""
    try:
        current_app.send_task(LOOK_AT_UPSTREAM, [upstream_id], retry=False)
    except (OperationalError, OSError):
        log.warning("no worker was told to look at upstream %s; the sweep does", upstream_id)


def hear_upstreams() -> None:
    """Whenever an upstream says in this process that its list changed, a worker is told to look."""
    POOL.on_list_changed = Heard(look_soon)
