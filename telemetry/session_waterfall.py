"""Steps of a session along its time. Pure: rows in, bars of a picture out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from telemetry.models import Step
from telemetry.waterfall import LEAST, WIDTH


@dataclass(frozen=True, slots=True)
class Bar:
    """One step on its line. One that runs is drawn to the end of the picture."""

    step: Step
    x: float
    width: float


def bars(steps: Sequence[Step], now: dt.datetime) -> tuple[list[Bar], float]:
    """The bars, and how many seconds the picture is wide. Steps may overlap, and no clock need be right."""
    if not steps:
        return [], 0.0
    begins = min(step.began_at for step in steps)
    ends = max(_end(step, now) for step in steps)
    total = max((ends - begins).total_seconds(), 1e-6)
    return [_bar(step, (step.began_at - begins).total_seconds(), total, now) for step in steps], total


def _end(step: Step, now: dt.datetime) -> dt.datetime:
    if step.ended_at is None:
        return max(now, step.began_at)
    return step.began_at + dt.timedelta(microseconds=max(step.latency_us, 0))


def _bar(step: Step, after_s: float, total_s: float, now: dt.datetime) -> Bar:
    took_s = (_end(step, now) - step.began_at).total_seconds()
    width = min(max(WIDTH * took_s / total_s, LEAST), WIDTH)
    return Bar(step, round(min(WIDTH * after_s / total_s, WIDTH - width), 2), round(width, 2))
