"""Daily partitions: made ahead, made on demand by several at once, dropped by age."""

import datetime as dt

import pytest
from django.db import connection, transaction

from telemetry.metrics.definitions import METRICS
from telemetry.metrics.figures import figures
from telemetry.metrics.rollups import roll_up
from telemetry.models import Span
from telemetry.partitions import drop_partitions, ensure_partitions, partition_days
from telemetry.tasks import create_partitions, drop_old_partitions
from tests.races.locks import advisory_locks
from tests.races.threads import at_once
from tests.telemetry.metrics.spans import record, span

pytestmark = pytest.mark.django_db(transaction=True)
FAR = dt.date(2031, 5, 17)


def test_eight_days_ahead_exist_and_a_second_sweep_makes_none():
    create_partitions()
    today = dt.datetime.now(dt.UTC).date()
    assert {today + dt.timedelta(days=n) for n in range(9)} <= set(partition_days(Span))
    assert create_partitions() == 0


def test_several_at_once_make_a_day_within_their_own_transactions_and_leave_no_lock():
    def make(number):
        with transaction.atomic():
            return ensure_partitions(Span, FAR)

    try:
        at_once(8, make)
        assert FAR in partition_days(Span)
        assert advisory_locks() == 0
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE telemetry_span_{FAR:%Y%m%d}")


def test_old_days_go_whole():
    old = dt.date(2020, 1, 1)
    ensure_partitions(Span, old, 3)
    assert drop_partitions(Span, dt.date(2020, 1, 3)) == 2
    assert partition_days(Span)[0] == dt.date(2020, 1, 3)
    assert drop_partitions(Span, dt.date(2020, 1, 4)) == 1


def test_the_sweep_drops_what_is_past_its_days_and_the_figures_of_it_stay(settings):
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    past, last = today - dt.timedelta(days=4), today - dt.timedelta(days=3)
    record(span(past), span(last), span(today))
    for _ in range(5):
        roll_up(today + dt.timedelta(hours=1))
    settings.SPAN_DAYS = 3
    assert {past.date(), last.date()} <= set(partition_days(Span))
    assert drop_old_partitions() >= 1
    assert min(partition_days(Span)) == last.date()
    assert set(Span.objects.values_list("start_time", flat=True)) == {last, today}
    [figure] = figures(METRICS["total_calls"], begins=past, ends=today)
    assert figure.value == 2
    record(span(last + dt.timedelta(minutes=1)))
    roll_up(today + dt.timedelta(hours=1))
    [figure] = figures(METRICS["total_calls"], begins=past, ends=today)
    assert figure.value == 3
    ensure_partitions(Span, past.date())
    record(span(past))
    roll_up(today + dt.timedelta(hours=1))
    [figure] = figures(METRICS["total_calls"], begins=past, ends=today)
    assert figure.value == 3, "a day that was dropped is not summed up again of what came after"
