"""Daily partitions: made ahead, made on demand by several at once, dropped by age."""

import datetime as dt

import pytest
from django.db import connection, transaction

from telemetry.models import Span
from telemetry.partitions import drop_partitions, ensure_partitions, partition_days
from telemetry.tasks import create_partitions
from tests.races.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)
FAR = dt.date(2031, 5, 17)


def locks():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        return cursor.fetchone()[0]


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
        assert locks() == 0
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE telemetry_span_{FAR:%Y%m%d}")


def test_old_days_go_whole():
    old = dt.date(2020, 1, 1)
    ensure_partitions(Span, old, 3)
    assert drop_partitions(Span, dt.date(2020, 1, 3)) == 2
    assert partition_days(Span)[0] == dt.date(2020, 1, 3)
    assert drop_partitions(Span, dt.date(2020, 1, 4)) == 1
