"""Bars of a session: in time, seen however short, within the picture whatever clocks say."""

import datetime as dt

import pytest

from telemetry.models import Step
from telemetry.session_waterfall import bars
from telemetry.waterfall import LEAST, WIDTH

T0 = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


def step(after_s, took_s=None, ended_after_s=None):
    """`took_s` of None: it has not ended."""
    ended = None if took_s is None else T0 + dt.timedelta(seconds=after_s + (ended_after_s or took_s))
    return Step(began_at=T0 + dt.timedelta(seconds=after_s), ended_at=ended, latency_us=int((took_s or 0) * 1_000_000))


@pytest.mark.parametrize(
    ("steps", "expected", "seconds"),
    [
        ([], [], 0),
        ([step(0, 10)], [(0, WIDTH)], 10),
        ([step(0, 5), step(5, 5)], [(0, 500), (500, 500)], 10),
        ([step(0, 8), step(2, 4)], [(0, 1000), (250, 500)], 8),
        # an instant is seen, also at the very end
        ([step(0, 10), step(10, 0)], [(0, 1000), (WIDTH - LEAST, LEAST)], 10),
        ([step(0, 0)], [(0, LEAST)], 0),
        # one that runs is drawn up to now
        ([step(0, 5), step(10)], [(0, 250), (500, 500)], 20),
        # it began by a clock that is ahead
        ([step(0, 10), step(40)], [(0, 250), (WIDTH - LEAST, LEAST)], 40),
        # told late, and took less than it was told in
        ([step(0, 2, ended_after_s=60), step(2, 2)], [(0, 500), (500, 500)], 4),
        # a number that no step can have taken
        ([step(0, 10), step(5, -3)], [(0, 1000), (500, LEAST)], 10),
        # told in any order
        ([step(5, 5), step(0, 5)], [(500, 500), (0, 500)], 10),
    ],
)
def test_bars_stand_where_their_steps_were(steps, expected, seconds):
    drawn, wide = bars(steps, T0 + dt.timedelta(seconds=20))
    assert [(bar.x, bar.width) for bar in drawn] == expected
    assert [bar.step for bar in drawn] == steps
    assert wide == pytest.approx(seconds, abs=1e-5)
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in drawn)
