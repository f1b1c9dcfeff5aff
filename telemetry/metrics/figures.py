"""Figures of a window of time, for the API, the charts and the rules of alerts alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from telemetry.metrics.definitions import Metric, Source, Unit
from telemetry.metrics.gauges import Reading, read_gauge
from telemetry.metrics.histogram import quantile
from telemetry.metrics.totals import CALLS, Question, Totals, totals


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one group. No value: there is nothing to divide by. `samples`: of how many spans it is made."""

    labels: dict[str, str]
    value: float | None
    samples: int


class Point(NamedTuple):
    """The figure of one step of time, which begins at `at`."""

    at: dt.datetime
    value: float | None
    samples: int


def figures(
    metric: Metric,
    *,
    begins: dt.datetime,
    ends: dt.datetime,
    filters: Mapping[str, str] | None = None,
    group_by: Sequence[str] = (),
    kinds: Sequence[str] = CALLS,
) -> list[Figure]:
    """One for each group that has spans in [begins, ends), whole minutes; ungrouped always exactly one.

    A gauge is read as it stands now, whatever the window. Raises: ValueError for a label that spans have not.
    """
    question = Question(begins, ends, filters or {}, group_by, kinds)
    if metric.source is Source.GAUGE:
        return _gauge(metric, question)
    found = totals(question, durations=metric.source is Source.QUANTILE)
    if not group_by:
        found = found or {(None, ()): Totals()}
    return [
        Figure(dict(zip(group_by, labels, strict=True)), *figure_of(metric, sums))
        for (_, labels), sums in sorted(found.items(), key=lambda item: item[0][1])
    ]


def figure_of(metric: Metric, sums: Totals) -> tuple[float | None, int]:
    """The value, and of how many spans it is made."""
    over = sums.sum(metric.over)
    match metric.source:
        case Source.SUM:
            return float(sums.sum(metric.of, metric.decisions)), int(over)
        case Source.QUANTILE:
            value = quantile(sums.durations, metric.quantile)
            return (None if value is None else min(value, sums.longest_us / 1_000_000)), int(over)
        case _:
            return (float(sums.sum(metric.of, metric.decisions) / over) if over else None), int(over)


def series(  # noqa: PLR0913 (as above, and by which step)
    metric: Metric,
    *,
    begins: dt.datetime,
    ends: dt.datetime,
    step_s: int,
    filters: Mapping[str, str] | None = None,
    group_by: Sequence[str] = (),
    kinds: Sequence[str] = CALLS,
    window_s: int | None = None,
) -> list[tuple[dict[str, str], list[Point]]]:
    """For each group a point for each step of [begins, ends); ungrouped always exactly one list.

    `window_s`: each point's figure is of so long a window, which ends where its step ends; else of its step alone.
    """
    step = dt.timedelta(seconds=step_s)
    steps = -(-(ends - begins) // step)
    wide = max(-(-(window_s or step_s) // step_s), 1)
    earlier = begins - (wide - 1) * step
    question = Question(earlier, ends, filters or {}, group_by, kinds)
    found = totals(question, step=step, durations=metric.source is Source.QUANTILE)
    groups = sorted({labels for _, labels in found}) or ([] if group_by else [()])
    drawn = []
    for labels in groups:
        each = [found.get((earlier + n * step, labels), _NOTHING) for n in range(steps + wide - 1)]
        points = [Point(begins + n * step, *figure_of(metric, _together(each[n : n + wide]))) for n in range(steps)]
        drawn.append((dict(zip(group_by, labels, strict=True)), points))
    return drawn


_NOTHING = Totals()


def _together(parts: Sequence[Totals]) -> Totals:
    if len(parts) == 1:
        return parts[0]
    whole = Totals()
    for part in parts:
        whole.add(part)
    return whole


def _gauge(metric: Metric, question: Question) -> list[Figure]:
    """Readings that agree with the filters, by group: numbers are added, of times and shares the greatest counts."""
    groups: dict[tuple[str, ...], list[Reading]] = {} if question.group_by else {(): []}
    for reading in read_gauge(metric.of):
        if all(reading.labels.get(name) == value for name, value in question.filters.items()):
            labels = tuple(reading.labels.get(name, "") for name in question.group_by)
            groups.setdefault(labels, []).append(reading)
    add_up = sum if metric.unit is Unit.NUMBER else _greatest
    return [
        Figure(dict(zip(question.group_by, labels, strict=True)), add_up(r.value for r in readings), len(readings))
        for labels, readings in sorted(groups.items(), key=lambda item: item[0])
    ]


def _greatest(values: Iterable[float]) -> float | None:
    return max(values, default=None)
