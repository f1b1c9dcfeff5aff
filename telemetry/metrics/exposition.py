"""For Prometheus: sums over the rollups of this month, how things stand, and the state of the parts.

Never read from the memory of one process: every process answers the same. Six queries over rollups as often as the
watermark moves, each for a bounded number of rows; one a gauge.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from typing import Any, cast

from django.core.cache import cache
from django.db.models import Count
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from redis.exceptions import RedisError

from telemetry.labels import label
from telemetry.metrics import families, histogram
from telemetry.metrics.definitions import METRICS, Source, Unit
from telemetry.metrics.families import Family
from telemetry.metrics.first_in_line import added_up, durations_of, first_in_line
from telemetry.metrics.gauges import read_gauge
from telemetry.metrics.rollups import watermark
from telemetry.metrics.totals import CALLS
from telemetry.models import AlertInstance, AlertRule, AlertState, HourRollup
from telemetry.models.rollup import THE_REST

Labels = tuple[str, ...]
# Longer than the watermark stands still where all is well.
KEPT_S = 120
# The place in line (any order will do), the labels, and what they add up to.
Value = tuple[Any, Labels, Any]


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

    def _calls(self) -> Any:
        return self._hours().filter(kind__in=CALLS)

    def _of_spans(self) -> list[Metric]:
        """The families of spans. Every process answers the same until the watermark moves.

        What is kept is what is told, which is bounded: of what it was made there can be any amount.
        """
        mark = watermark()
        key = f"exposition:{self.month:%Y%m}:{mark:%Y%m%d%H%M}" if mark else ""
        with suppress(RedisError):
            if key and (kept := cache.get(key)):
                return cast("list[Metric]", kept)
        told = [
            self._counter(families.CALLS, self._values(families.CALLS, "calls")),
            self._counter(families.TOKENS, self._tokens()),
            self._counter(families.COST, self._values(families.COST, "cost_usd")),
            self._durations(),
        ]
        with suppress(RedisError):
            if key:
                cache.set(key, told, timeout=KEPT_S)
        return told

    def _values(self, family: Family, name: str) -> Iterator[Value]:
        rows = first_in_line(self._calls(), family.labels, (name,), family.most)
        return ((row["first"], _labels(row, family), row[name]) for row in rows)

    def _tokens(self) -> Iterator[Value]:
        """Two series of each set of labels, in and out."""
        *whose, _ = families.TOKENS.labels
        for row in first_in_line(self._calls(), whose, ("prompt_tokens", "completion_tokens"), families.TOKENS.most):
            labels = tuple(label(row[name]) for name in whose)
            rest = labels[0] == THE_REST
            yield row["first"], (*labels, THE_REST if rest else "in"), row["prompt_tokens"]
            yield row["first"], (*labels, THE_REST if rest else "out"), row["completion_tokens"]

    def _counter(self, family: Family, values: Iterable[Value]) -> Metric:
        found = CounterMetricFamily(family.name, family.title, labels=_on_the_wire(family))
        for labels, value in _bounded(family, values, lambda one, other: one + other).items():
            if value:
                found.add_metric(labels, float(value), created=self.month.timestamp())
        return found

    def _durations(self) -> Metric:
        family = families.DURATIONS
        found = HistogramMetricFamily(family.name, family.title, labels=_on_the_wire(family))
        rows = first_in_line(self._hours(), family.labels, ("duration_us",), family.most)
        wanted = [labels for row in rows if (labels := tuple(row[name] for name in family.labels))[0] != THE_REST]
        parts = durations_of(self._hours(), family.labels, wanted)
        buckets = added_up((tuple(map(label, labels)), held) for labels, held in parts)
        # Each histogram goes with one of its rows, once.
        both = (
            (row["first"], labels, (buckets.pop(labels, {}), row["duration_us"]))
            for row in rows
            for labels in (_labels(row, family),)
        )
        for labels, (held, us) in _bounded(family, both, _add_durations).items():
            counts = [*histogram.not_over(held, families.BOUNDS_S), sum(held.values())]
            bounds = [*map(str, families.BOUNDS_S), "+Inf"]
            found.add_metric(labels, list(zip(bounds, counts, strict=True)), us / 1_000_000)
        return found


def _labels(row: Mapping[str, Any], family: Family) -> Labels:
    return tuple(label(row[name]) for name in family.labels)


def _on_the_wire(family: Family) -> list[str]:
    return ["tool" if name == "tool_name" else name for name in family.labels]


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
