"""However many names are reported, what is fetched of them is bounded, and the sums are exact."""

import datetime as dt
import random
from collections import Counter

import pytest
from django.utils import timezone

from telemetry.metrics.first_in_line import durations_of, first_in_line
from telemetry.models import HourRollup
from telemetry.models.rollup import THE_REST

pytestmark = pytest.mark.django_db
LABELS = ("origin", "service", "tool_name")
HOUR = dt.timedelta(hours=1)


def rollup(at, origin, service, tool, calls):
    return HourRollup(
        at=at,
        origin=origin,
        kind="tool_call",
        service=service,
        tool_name=tool,
        calls=calls,
        duration_us=calls * 7,
        first_at=at,
        buckets=[calls % 5, 9],
        bucket_spans=[calls, 1],
    )


@pytest.fixture
def rows():
    """Three hours of 400 reported names and two of our own, which came last."""
    begin = timezone.now().replace(minute=0, second=0, microsecond=0)
    chance = random.Random(7)
    made = [
        rollup(begin + n * HOUR, "sdk", f"service {chance.randrange(40)}", f"tool {t}", chance.randrange(1, 90))
        for n in range(3)
        for t in range(400)
    ]
    made += [rollup(begin + 5 * HOUR, "pipeline", "observatory", f"ours {n}", 3) for n in range(2)]
    HourRollup.objects.bulk_create(made)
    return HourRollup.objects.order_by(), made


@pytest.mark.parametrize("most", [1, 2, 3, 10, 5_000])
def test_so_many_sets_are_told_and_the_rest_is_one(rows, most):
    stored, made = rows
    found = first_in_line(stored, LABELS, ("calls", "duration_us"), most)
    sets = {tuple(getattr(row, name) for name in LABELS) for row in made}
    assert len(found) == min(most + 1, len(sets))
    assert [row["first"] for row in found] == sorted(row["first"] for row in found)
    assert [row["origin"] for row in found[:2]] == ["pipeline", "pipeline" if most > 1 else THE_REST]
    assert sum(row["calls"] for row in found) == sum(row.calls for row in made)
    by_set = Counter()
    for row in made:
        by_set[tuple(getattr(row, name) for name in LABELS)] += row.calls
    for row in found[:most]:
        assert row["calls"] == by_set[tuple(row[name] for name in LABELS)]
        assert row["duration_us"] == row["calls"] * 7
    assert (found[-1]["origin"] == THE_REST) is (most < len(sets))


@pytest.mark.parametrize("most", [0, 1, 10])
def test_histograms_of_some_and_of_all_others(rows, most):
    stored, made = rows
    wanted = [
        tuple(row[name] for name in LABELS)
        for row in first_in_line(stored, LABELS, ("calls",), most or 1)
        if row["origin"] != THE_REST
    ][:most]
    found = dict(durations_of(stored, LABELS, wanted))
    assert set(found) == {*wanted, (THE_REST,) * 3}
    spans = Counter()
    for held in found.values():
        spans.update(held)
    expected = Counter()
    for row in made:
        for bucket, count in zip(row.buckets, row.bucket_spans, strict=True):
            expected[bucket] += count
    assert spans == expected


def test_nothing_is_told_of_nothing():
    assert first_in_line(HourRollup.objects.order_by(), LABELS, ("calls",), 5) == []
    assert list(durations_of(HourRollup.objects.order_by(), LABELS, [])) == []
