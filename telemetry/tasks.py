"""What Celery does for telemetry. Each task may run twice at once."""

import datetime as dt

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from telemetry.alerts.evaluation import evaluate
from telemetry.clock import database_now
from telemetry.dead_man import BEAT, BEAT_STALE, give_sign
from telemetry.delivery.sending import send_due
from telemetry.metrics import rollups
from telemetry.models import Heartbeat, Payload, Span
from telemetry.otel.export import send_spans_on
from telemetry.partitions import DAYS_AHEAD, drop_partitions, ensure_partitions
from telemetry.reports import requested
from telemetry.sessions import end_cut_off, expire_idle, forget_signals

__all__ = ("BEAT", "BEAT_STALE")


@shared_task(name="telemetry.create_partitions")
def create_partitions() -> int:
    return ensure_partitions(Span, timezone.now().date(), DAYS_AHEAD + 1)


@shared_task(name="telemetry.drop_partitions")
def drop_old_partitions() -> int:
    return drop_partitions(Span, timezone.now().date() - dt.timedelta(days=settings.SPAN_DAYS))


@shared_task(name="telemetry.drop_payloads")
def drop_payloads() -> int:
    # Without their bytes, which need not be read to be deleted.
    return Payload.objects.expired(timezone.now()).only("pk").delete()[0]


@shared_task(name="telemetry.roll_up")
def roll_up() -> int:
    return rollups.roll_up(timezone.now())


@shared_task(name="telemetry.drop_rollups")
def drop_rollups() -> int:
    return rollups.drop_rollups(timezone.now())


@shared_task(name="telemetry.expire_sessions")
def expire_sessions() -> int:
    """Sessions that are idle, and steps that were cut off, have ended; what ended ones had kept is gone."""
    now = timezone.now()
    forget_signals()
    return end_cut_off(now) + expire_idle(now, dt.timedelta(seconds=settings.SESSION_IDLE_S))


@shared_task(name="telemetry.export_spans")
def export_spans() -> int:
    return send_spans_on()


@shared_task(name="telemetry.heartbeat")
def heartbeat() -> None:
    """Beat scheduled this and a worker ran it: both live."""
    Heartbeat.objects.update_or_create(name=BEAT, defaults={"at": timezone.now()})


@shared_task(name="telemetry.evaluate_alerts")
def evaluate_alerts() -> int:
    return evaluate(database_now())


@shared_task(name="telemetry.send_alerts")
def send_alerts() -> int:
    return send_due(database_now)


@shared_task(name="telemetry.give_sign")
def give_sign_of_life() -> bool:
    return give_sign(database_now())


@shared_task(name=requested.MAKE_REPORT)
def make_report(report_id: str) -> bool:
    """A report that somebody asked for is made, or somebody else makes it."""
    return requested.run_report(report_id, timezone.now)


@shared_task(name="telemetry.sweep_reports")
def sweep_reports() -> int:
    """The sweep behind `make_report`: a lost message or a killed worker delays a report, it does not lose it."""
    return requested.sweep_reports(timezone.now())
