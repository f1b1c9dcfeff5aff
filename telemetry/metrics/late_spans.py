"""Minutes that got a span after they were summed up. Whoever records spans says so in the same transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from telemetry.models import StaleMinute

# Rollups look at the last five minutes again by themselves; what began before this may be too late for that.
LATE = dt.timedelta(minutes=2)


def whole_minute(moment: dt.datetime) -> dt.datetime:
    return moment.replace(second=0, microsecond=0)


def mark_late(begins: Iterable[dt.datetime], now: dt.datetime) -> None:
    """The minutes of spans that began long ago are summed up again. Never waits for another who says the same."""
    minutes = {whole_minute(begin) for begin in begins if begin < now - LATE}
    if minutes:
        StaleMinute.objects.bulk_create(StaleMinute(minute=minute) for minute in sorted(minutes))
