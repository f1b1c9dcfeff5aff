"""Quantiles of the histogram are within one per cent of the exact ones, also after histograms are added up."""

from collections import Counter

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from telemetry.metrics.histogram import GAMMA, RELATIVE_ERROR, add, bucket_of, not_over, quantile
from tests.telemetry.metrics.spans import exact_quantile

DURATIONS_US = st.lists(st.integers(1, 10**12), min_size=1, max_size=200)


@given(DURATIONS_US, DURATIONS_US, st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_quantiles_are_within_one_per_cent(some, others, share):
    histogram = add(Counter(map(bucket_of, some)), Counter(map(bucket_of, others)))
    exact = exact_quantile(some + others, share) / 1_000_000
    assert RELATIVE_ERROR < 0.01
    assert quantile(histogram, share) == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-9)


def test_no_durations_have_no_quantile():
    assert quantile({}, 0.5) is None


def test_bounds_count_what_does_not_exceed_them():
    histogram = Counter(map(bucket_of, [1_000, 50_000, 50_000, 2_000_000]))
    assert not_over(histogram, [0.0005, 0.01, 0.1, 10]) == [0, 1, 3, 4]


@pytest.mark.django_db
def test_the_database_puts_durations_into_the_same_buckets():
    durations = [0, 1, 2, 999, 1_000, 1_001, 1_020, 1_040, 123_456, 86_400_000_000, *(7**n for n in range(13))]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ceil(ln(greatest(us, 1) / 1000.0::float8) / ln(%s::float8))::int FROM unnest(%s::bigint[]) us",
            [GAMMA, durations],
        )
        assert [row[0] for row in cursor.fetchall()] == [bucket_of(duration) for duration in durations]
