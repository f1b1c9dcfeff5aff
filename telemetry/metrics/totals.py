"""Sums over a window of time, read from rollups: by hour where whole hours fit, by minute at the edges."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, F, Func, IntegerField, Max, QuerySet, Sum, Value
from django.utils import timezone

from telemetry.metrics import histogram
from telemetry.metrics.rollups import HOUR, oldest_minute, whole_hour
from telemetry.models import HourRollup, MinuteRollup
from telemetry.models.rollup import DIMENSIONS, SUMS

CALLS = ("tool_call", "model_call")
# Narrower windows are read by the minute.
NARROW = 2 * HOUR
NO_TIME = dt.timedelta(0)
Number = int | Decimal


@dataclass
class Totals:
    """What the spans of one group add up to: each of SUMS by decision, and how long they took."""

    sums: dict[str, dict[str, Number]] = field(default_factory=dict)
    durations: dict[int, int] = field(default_factory=dict)
    longest_us: int = 0

    def add(self, other: Totals) -> None:
        for decision, sums in other.sums.items():
            mine = self.sums.setdefault(decision, {})
            for name, number in sums.items():
                mine[name] = mine.get(name, 0) + number
        histogram.add(self.durations, other.durations)
        self.longest_us = max(self.longest_us, other.longest_us)

    def sum(self, name: str, decisions: Sequence[str] = ()) -> Number:
        """`decisions` are exact words; "denied" is every word that begins so. None of them: all."""
        return sum(sums[name] for decision, sums in self.sums.items() if _is_one_of(decision, decisions))


def _is_one_of(decision: str, wanted: Sequence[str]) -> bool:
    return not wanted or decision in wanted or ("denied" in wanted and decision.startswith("denied"))


@dataclass(frozen=True)
class Question:
    """Which rollups: of the window [begins, ends), of these kinds and of the values that filters name."""

    begins: dt.datetime
    ends: dt.datetime
    filters: Mapping[str, str] = field(default_factory=dict)
    group_by: Sequence[str] = ()
    kinds: Sequence[str] = CALLS
    # Of the groups these only; None: all.
    only: Sequence[tuple[str, ...]] | None = None

    def __post_init__(self) -> None:
        unknown = {*self.filters, *self.group_by} - set(DIMENSIONS)
        if unknown:
            raise ValueError(f"Spans are not summed up by {', '.join(sorted(unknown))}.")


Key = tuple[dt.datetime | None, tuple[str, ...]]


def totals(
    question: Question,
    *,
    step: dt.timedelta | None = None,
    durations: bool = True,
    sums: Sequence[str] = SUMS,
) -> dict[Key, Totals]:
    """By (the beginning of the step or None, the values of group_by). Groups without spans are not there.

    What is not asked for, sums by name and durations, is not read.
    """
    found: dict[Key, Totals] = {}
    for piece in pieces(question, step):
        rows = piece if step is None else piece.annotate(step=_step_of(question.begins, step))
        by = [*(["step"] if step is not None else []), *question.group_by]
        for key, part in _sums(rows, by, sums):
            found.setdefault(key, Totals()).add(part)
        for key, held in histograms(rows, question.group_by, by_step=step is not None).items() if durations else ():
            found.setdefault(key, Totals()).add(Totals({}, held))
    return found


def pieces(question: Question, step: dt.timedelta | None) -> Iterator[QuerySet[Any]]:
    """The tables to read and from when to when, together the window.

    An edge whose minutes were dropped is read as its whole hour: the window then begins or ends at a whole one. Steps
    that are not whole hours from a whole hour are read by the minute, however wide the window.
    """
    begins, ends = question.begins, question.ends
    minutes_from = oldest_minute(timezone.now())
    uneven = step is not None and (step % HOUR != NO_TIME or begins != whole_hour(begins))
    by_minute = uneven or (ends - begins <= NARROW and begins >= minutes_from)
    first, last = (ends, ends) if by_minute else (_next_hour(begins), whole_hour(ends))
    if not by_minute and begins < minutes_from:
        first = whole_hour(begins)
        last = last if whole_hour(ends) >= minutes_from else _next_hour(ends)
    if first >= last:
        first = last = ends
    kept = {"kind__in": list(question.kinds), **question.filters}
    for model, low, high in (
        (MinuteRollup, begins, first),
        (HourRollup, first, last),
        (MinuteRollup, last, ends),
    ):
        if low < high:
            yield _of_groups(question, model._default_manager.filter(at__gte=low, at__lt=high, **kept).order_by())


def _of_groups(question: Question, rows: QuerySet[Any]) -> QuerySet[Any]:
    """The rows of the groups that are asked for, which travel as arrays, one a label."""
    if question.only is None or not question.group_by:
        return rows
    columns = ", ".join(map(connection.ops.quote_name, question.group_by))
    arrays = ", ".join(["%s::text[]"] * len(question.group_by))
    values = [[labels[n] for labels in question.only] for n in range(len(question.group_by))]
    is_asked_for = f"({columns}) IN (SELECT * FROM unnest({arrays}))"  # noqa: S608 (columns of a model)
    return rows.extra(where=[is_asked_for], params=values)  # noqa: S610 (as above)


def busiest(question: Question, most: int) -> tuple[Question, int]:
    """The question about the groups with the most calls only, at most so many, and how many others there are.

    The database finds them: there can be any number of names.
    """
    if not question.group_by:
        return question, 0
    parts = [piece.values_list(*question.group_by, "calls").query.sql_with_params() for piece in pieces(question, None)]
    if not parts:
        return question, 0
    columns = ", ".join(map(connection.ops.quote_name, question.group_by))
    rows = " UNION ALL ".join(sql for sql, _ in parts)
    statement = (
        f"SELECT {columns}, count(*) OVER () FROM ({rows}) AS found GROUP BY {columns}"  # noqa: S608 (columns of a model)
        f" ORDER BY sum(calls) DESC, {columns} LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*(value for _, params in parts for value in params), most])
        found = cursor.fetchall()
    others = found[0][-1] - len(found) if found else 0
    return replace(question, only=[tuple(row[:-1]) for row in found]), others


def _next_hour(moment: dt.datetime) -> dt.datetime:
    return whole_hour(moment) if moment == whole_hour(moment) else whole_hour(moment) + HOUR


def _step_of(begins: dt.datetime, step: dt.timedelta) -> Func:
    origin = Value(begins, DateTimeField())
    return Func(Value(step), F("at"), origin, function="date_bin", output_field=DateTimeField())


def _sums(rows: QuerySet[Any], by: Sequence[str], sums: Sequence[str]) -> Iterator[tuple[Key, Totals]]:
    summed = {f"sum_{name}": Sum(name) for name in sums}
    for row in rows.values(*by, "decision").annotate(**summed, longest=Max("longest_us")):
        key = row.get("step"), tuple(row[name] for name in by if name != "step")
        yield key, Totals({row["decision"]: {name: row[f"sum_{name}"] for name in sums}}, {}, row["longest"])


def histograms(rows: QuerySet[Any], labels: Sequence[str], *, by_step: bool = False) -> dict[Key, dict[int, int]]:
    """How long spans took, by labels: added up by the database, for those of a day are a few hundred buckets."""
    by = [*(["step"] if by_step else []), *labels]
    opened = rows.values(*by, bucket=_opened("buckets"), spans=_opened("bucket_spans"))
    sql, params = opened.query.sql_with_params()
    names = "".join(f"{connection.ops.quote_name(name)}, " for name in by)
    grouped = ["GROUP BY", names.rstrip(", ")] if by else []
    # Arrays, not a row a bucket: a row costs its reader more than the database.
    each = [
        "SELECT",
        names,
        "array_agg(bucket), array_agg(spans) FROM (SELECT",
        names,
        "bucket, sum(spans)::bigint AS spans",
    ]
    statement = " ".join([*each, "FROM (", sql, ") AS opened GROUP BY", names, "bucket) AS added", *grouped])
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        found = {}
        for *values, buckets, spans in cursor:
            key = (values[0], tuple(values[1:])) if by_step else (None, tuple(values))
            found[key] = dict(zip(buckets or (), spans or (), strict=True))
    return found


def _opened(array: str) -> Func:
    """One row for each of the array's elements; two arrays of one row are opened side by side."""
    return Func(F(array), function="unnest", output_field=IntegerField())
