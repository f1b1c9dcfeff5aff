"""Minutes that got a span after they were summed up. Whoever records spans says so in the same transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from telemetry.models import StaleMinute

# Rollups look at the last five minutes again by themselves; what began before this may be too late for that.
LATE = dt.timedelta(minutes=2)


def whole_minute(moment: dt.datetime) -> dt.datetime:
    return moment.replace(second=0, microsecond=0)


def mark_late(began: Iterable[dt.datetime], now: dt.datetime) -> None:
    """Minutes in which a span began long ago are summed up again. Never waits for another who says the same."""
    minutes = {whole_minute(moment) for moment in began if moment < now - LATE}
    if minutes:
        StaleMinute.objects.bulk_create(StaleMinute(minute=minute) for minute in sorted(minutes))
