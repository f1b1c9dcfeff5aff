"""For Prometheus: sums over the rollups of this month, how things stand, and the state of the parts.

Never read from the memory of one process: every process answers the same. Two queries over rollups as often as the
watermark moves, one a gauge.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from typing import Any, cast

from django.core.cache import cache
from django.db.models import Count, Min, Sum
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from redis.exceptions import RedisError

from telemetry.labels import label
from telemetry.metrics import families, histogram
from telemetry.metrics.definitions import METRICS, Source, Unit
from telemetry.metrics.families import Family
from telemetry.metrics.gauges import read_gauge
from telemetry.metrics.rollups import watermark
from telemetry.metrics.totals import CALLS, histograms
from telemetry.models import AlertInstance, AlertRule, AlertState, HourRollup, Span
from telemetry.models.rollup import THE_REST

Labels = tuple[str, ...]
# Longer than the watermark stands still where all is well.
KEPT_S = 120
# The place in line (any order will do), the labels, and what they add up to.
Value = tuple[Any, Labels, Any]
_SUMS = ("calls", "prompt_tokens", "completion_tokens", "cost_usd", "duration_us")
# Everything that a family of spans has for a label.
_BY = ("origin", "kind", "service", "model", "tool_name", "agent", "decision")


class Exposition:
    """What prometheus_client calls a collector."""

    def __init__(self, now: dt.datetime, version: str) -> None:
        self.month = now.astimezone(dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        self.version = version

    def collect(self) -> Iterator[Metric]:
        yield from self._of_spans()
        yield from map(_gauge, (metric for metric in METRICS.values() if metric.source is Source.GAUGE))
        yield _alerts()
        yield _gauge_family(families.BUILD, {(self.version,): 1})

    def _hours(self) -> Any:
        return HourRollup.objects.filter(at__gte=self.month).order_by()

    def _of_spans(self) -> list[Metric]:
        """The families of spans. Every process answers the same until the watermark moves.

        What is kept is what is told, which is bounded: of what it was made there can be any amount.
        """
        mark = watermark()
        key = f"exposition:{self.month:%Y%m}:{mark:%Y%m%d%H%M}" if mark else ""
        with suppress(RedisError):
            if key and (kept := cache.get(key)):
                return cast("list[Metric]", kept)
        rows = self._sums()
        calls = [row for row in rows if row["kind"] in CALLS]
        by_labels = histograms(self._hours(), families.DURATIONS.labels)
        durations: dict[Labels, dict[int, int]] = {}
        for (_, labels), held in by_labels.items():
            histogram.add(durations.setdefault(tuple(map(label, labels)), {}), held)
        told = [
            self._counter(families.CALLS, _values(calls, families.CALLS, "calls")),
            self._counter(families.TOKENS, _tokens(calls)),
            self._counter(families.COST, _values(calls, families.COST, "cost_usd")),
            self._durations(rows, durations),
        ]
        with suppress(RedisError):
            if key:
                cache.set(key, told, timeout=KEPT_S)
        return told

    def _sums(self) -> list[dict[str, Any]]:
        """By all labels, with their place in line: what we saw ourselves, then when each set was first seen.

        Reporters say when their spans began: their names, however old they are said to be, put none of ours out.
        """
        rows = self._hours().values(*_BY).annotate(first=Min("first_at"), **{name: Sum(name) for name in _SUMS})
        return [{**row, "first": (row["origin"] != Span.Origin.PIPELINE, row["first"])} for row in rows]

    def _counter(self, family: Family, values: Iterable[Value]) -> Metric:
        found = CounterMetricFamily(family.name, family.title, labels=_on_the_wire(family))
        for labels, value in _bounded(family, values, lambda one, other: one + other).items():
            if value:
                found.add_metric(labels, float(value), created=self.month.timestamp())
        return found

    def _durations(self, rows: list[dict[str, Any]], buckets: dict[Labels, dict[int, int]]) -> Metric:
        family = families.DURATIONS
        found = HistogramMetricFamily(family.name, family.title, labels=_on_the_wire(family))
        values = _values(rows, family, "duration_us")
        # Each histogram goes with one of its rows, once.
        both = ((first, labels, (buckets.pop(labels, {}), us)) for first, labels, us in values)
        for labels, (held, us) in _bounded(family, both, _add_durations).items():
            counts = [*histogram.not_over(held, families.BOUNDS_S), sum(held.values())]
            bounds = [*map(str, families.BOUNDS_S), "+Inf"]
            found.add_metric(labels, list(zip(bounds, counts, strict=True)), us / 1_000_000)
        return found


def _labels(row: Mapping[str, Any], family: Family) -> Labels:
    return tuple(label(row[name]) for name in family.labels)


def _on_the_wire(family: Family) -> list[str]:
    return ["tool" if name == "tool_name" else name for name in family.labels]


def _values(rows: Iterable[Mapping[str, Any]], family: Family, name: str) -> Iterator[Value]:
    return ((row["first"], _labels(row, family), row[name]) for row in rows)


def _tokens(rows: Iterable[Mapping[str, Any]]) -> Iterator[Value]:
    for row in rows:
        whose = (row["origin"], *(label(row[name]) for name in ("service", "model", "agent")))
        yield row["first"], (*whose, "in"), row["prompt_tokens"]
        yield row["first"], (*whose, "out"), row["completion_tokens"]


def _bounded(family: Family, values: Iterable[Value], add: Callable[[Any, Any], Any]) -> dict[Labels, Any]:
    """What each set of labels adds up to. Those beyond the family's share are one, whose labels say THE_REST.

    Those first in line stay, so that no series of ours falls while others come.
    """
    found: dict[Labels, Any] = {}
    seen: dict[Labels, Any] = {}
    for first, labels, value in values:
        found[labels] = add(found[labels], value) if labels in found else value
        seen[labels] = min(seen.get(labels, first), first)
    in_order = sorted(found, key=lambda labels: (seen[labels], labels))
    stay = in_order if len(in_order) <= family.most else in_order[: family.most - 1]
    kept = {labels: found.pop(labels) for labels in stay}
    return {**kept, (THE_REST,) * len(family.labels): reduce(add, found.values())} if found else kept


def _add_durations(one: tuple[dict[int, int], int], other: tuple[dict[int, int], int]) -> tuple[dict[int, int], int]:
    return histogram.add(one[0], other[0]), one[1] + other[1]


def _gauge(metric: Any) -> Metric:
    """One series for each set of labels: numbers are added up, of times the greatest counts."""
    readings = read_gauge(metric.of)
    names = tuple(sorted({name for reading in readings for name in reading.labels}))
    family = Family(families.gauge_name(metric), "gauge", f"{metric.title}.", names)
    values = (
        (position, tuple(label(reading.labels.get(name, "")) for name in names), reading.value)
        for position, reading in enumerate(readings)
    )
    add = (lambda one, other: one + other) if metric.unit is Unit.NUMBER else max
    found = _bounded(family, values, add)
    return _gauge_family(family, found if found or metric.unit is not Unit.NUMBER else {(): 0.0})


def _alerts() -> Metric:
    firing = AlertInstance.objects.filter(state=AlertState.FIRING).order_by().values_list("rule__severity")
    counts = dict.fromkeys(AlertRule.Severity.values, 0) | dict(firing.annotate(number=Count("id")))
    return _gauge_family(families.ALERTS, {(severity,): count for severity, count in counts.items()})


def _gauge_family(family: Family, values: Mapping[Labels, float]) -> Metric:
    found = GaugeMetricFamily(family.name, family.title, labels=_on_the_wire(family))
    for labels, value in values.items():
        found.add_metric(labels, value)
    return found
