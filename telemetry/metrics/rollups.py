"""Rollups follow the spans: minutes are summed up once they are over, and again when a span comes late.

Whatever is summed up is made again from what it sums up, so doing it twice changes nothing. One runner at a time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Min
from django.db.models.functions import Trunc

from telemetry.metrics.late_spans import whole_minute
from telemetry.metrics.rollup_sql import SUM_UP_HOURS, SUM_UP_MINUTES
from telemetry.models import HourRollup, MinuteRollup, RollupWatermark, Span, StaleMinute

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
# A minute is over so long after its end: spans are recorded when they end, and reports come in batches.
SETTLES = dt.timedelta(seconds=20)
# These are made again with each step forward.
AGAIN = 5 * MINUTE
MINUTES_KEPT = dt.timedelta(days=7)
HOURS_KEPT = dt.timedelta(days=400)
# After a pause one transaction sums up at most so much, and one run takes at most so many.
STEP = HOUR
STEPS = 24
# Longer than a step takes: the sweeps that drop minutes and spans go by their own clocks.
SOON = 10 * MINUTE
# Of late minutes one step takes those of so many hours: whoever reports into thousands of minutes holds up nobody.
STALE_HOURS = 12
_LOCK = 0x0B5E8
_TAKE = f'DELETE FROM "{StaleMinute._meta.db_table}" WHERE minute >= %s AND minute < %s RETURNING minute'  # noqa: S608 (the table's own name)


def watermark() -> dt.datetime | None:
    """The end of the last minute that was summed up; None before the first."""
    return RollupWatermark.objects.values_list("at", flat=True).first()


def roll_up(now: dt.datetime) -> int:
    """Rollups stand for all minutes that are over, or have come nearer to it; how many minutes were summed up.

    It ends where it has caught up: late minutes that are left wait for the next run, which looks at the clock again.
    Locks: an advisory lock for each step. Who does not get it returns at once.
    """
    target = whole_minute(now - SETTLES)
    total = 0
    for _ in range(STEPS):
        minutes = _step(target)
        total += minutes
        mark = watermark()
        if not minutes or (mark is not None and mark >= target):
            break
    return total


def drop_rollups(now: dt.datetime) -> int:
    """Minutes and hours past their time are gone; how many rows went."""
    minutes, _ = MinuteRollup.objects.filter(at__lt=oldest_minute(now)).delete()
    hours, _ = HourRollup.objects.filter(at__lt=now - HOURS_KEPT).delete()
    return minutes + hours


def whole_hour(moment: dt.datetime) -> dt.datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def oldest_minute(now: dt.datetime) -> dt.datetime:
    """Minutes go by whole hours, so that an hour can always be made again of all its minutes or of none."""
    return whole_hour(now - MINUTES_KEPT)


@transaction.atomic
def _step(target: dt.datetime) -> int:
    """One transaction forward; how many minutes it summed up. 0: there is nothing to do, or another is at it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    mark = watermark() or _first(target)
    reached = max(mark, min(target, mark + STEP))
    stale = _stale_minutes()
    minutes = {minute for minute in stale if minute < reached}
    if reached > mark:
        minutes.update(_minutes(mark - AGAIN, reached))
    _sum_up(_with_whole_old_hours(minutes, target))
    if reached > mark or not RollupWatermark.objects.exists():
        RollupWatermark.objects.update_or_create(pk=1, defaults={"at": reached})
    return len(minutes)


def _first(target: dt.datetime) -> dt.datetime:
    """Where to begin: with the oldest span of those that minutes are kept for."""
    oldest = Span.objects.filter(start_time__gte=oldest_minute(target)).aggregate(oldest=Min("start_time"))["oldest"]
    return min(whole_minute(oldest), target) if oldest else target


def _stale_minutes() -> set[dt.datetime]:
    """Of the hours that wait longest, each minute once. Taken off the list with this transaction: whoever adds one from
    now on is heard by the next."""
    by_hour = StaleMinute.objects.annotate(hour=Trunc("minute", "hour", tzinfo=dt.UTC)).values("hour").order_by()
    hours = by_hour.annotate(first=Min("id")).order_by("first").values_list("hour", flat=True)[:STALE_HOURS]
    found: set[dt.datetime] = set()
    with connection.cursor() as cursor:
        for hour in list(hours):
            cursor.execute(_TAKE, [hour, hour + HOUR])
            found.update(minute for (minute,) in cursor.fetchall())
    return found


def _with_whole_old_hours(minutes: Iterable[dt.datetime], target: dt.datetime) -> set[dt.datetime]:
    """A minute whose rollup was dropped brings all of its hour, or the hour would be made of it alone.

    A minute whose day of spans was dropped is left as it is. What is dropped while this runs counts as dropped.
    """
    soon = target + SOON
    oldest_day = whole_hour(soon).replace(hour=0) - dt.timedelta(days=settings.SPAN_DAYS)
    found: set[dt.datetime] = set()
    for minute in minutes:
        if minute >= max(oldest_minute(soon), oldest_day):
            found.add(minute)
        elif minute >= oldest_day:
            found.update(_minutes(whole_hour(minute), whole_hour(minute) + HOUR))
    return found


def _minutes(begins: dt.datetime, ends: dt.datetime) -> list[dt.datetime]:
    return [begins + n * MINUTE for n in range(int((ends - begins) / MINUTE))]


def _sum_up(minutes: set[dt.datetime]) -> None:
    """These minutes, and the hours that they are of, are what their spans add up to."""
    with connection.cursor() as cursor:
        for begins, ends in _runs(minutes, MINUTE):
            MinuteRollup.objects.filter(at__gte=begins, at__lt=ends).delete()
            cursor.execute(SUM_UP_MINUTES, {"begins": begins, "ends": ends})
        for begins, ends in _runs({whole_hour(minute) for minute in minutes}, HOUR):
            HourRollup.objects.filter(at__gte=begins, at__lt=ends).delete()
            cursor.execute(SUM_UP_HOURS, {"begins": begins, "ends": ends})


def _runs(moments: set[dt.datetime], step: dt.timedelta) -> list[tuple[dt.datetime, dt.datetime]]:
    """Moments that follow one another by `step`, as [begins, ends)."""
    runs: list[tuple[dt.datetime, dt.datetime]] = []
    for moment in sorted(moments):
        if runs and runs[-1][1] == moment:
            runs[-1] = (runs[-1][0], moment + step)
        else:
            runs.append((moment, moment + step))
    return runs
