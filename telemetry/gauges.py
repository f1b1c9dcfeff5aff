"""What telemetry can count of itself for alerts and Prometheus."""

import datetime as dt
from collections.abc import Iterable

from django.utils import timezone

from telemetry.metrics.definitions import Unit
from telemetry.metrics.gauges import Reading, register_gauge
from telemetry.metrics.rollups import watermark
from telemetry.models import Heartbeat, Span
from telemetry.partitions import partition_days
from telemetry.tasks import BEAT


def register() -> None:
    register_gauge("partitions_ahead", "Days ahead that spans can be stored for", ahead)
    register_gauge("rollups_behind", "How old the newest figures are", behind, Unit.SECONDS)
    register_gauge("beat_age", "Since beat and a worker last lived", beat_age, Unit.SECONDS)


def ahead() -> Iterable[Reading]:
    """Days after today, without a gap."""
    days, day, number = set(partition_days(Span)), timezone.now().date(), 0
    while day + dt.timedelta(days=number + 1) in days:
        number += 1
    yield Reading(number, {})


def behind() -> Iterable[Reading]:
    mark = watermark()
    if mark is not None:
        yield Reading(max((timezone.now() - mark).total_seconds(), 0.0), {})


def beat_age() -> Iterable[Reading]:
    """No reading where none was ever seen."""
    at = Heartbeat.objects.filter(name=BEAT).values_list("at", flat=True).first()
    if at is not None:
        yield Reading(max((timezone.now() - at).total_seconds(), 0.0), {})
