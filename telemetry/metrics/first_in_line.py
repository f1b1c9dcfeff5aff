"""Sums by labels, of as many sets of labels as are wanted and one for all the rest, added up by the database.

Whoever reports can make any number of names; what is fetched is bounded all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection
from django.db.models import Min, Q, QuerySet, Sum

from telemetry.metrics import histogram
from telemetry.metrics.totals import histograms
from telemetry.models import Span
from telemetry.models.rollup import THE_REST

Labels = tuple[str, ...]


def first_in_line(rows: QuerySet[Any], labels: Sequence[str], sums: Sequence[str], most: int) -> list[dict[str, Any]]:
    """The first `most` sets of labels, and what the others add up to under THE_REST; in their place in line.

    First come those that we saw ourselves, then by when each was first seen: what reporters say of when their spans
    began puts none of ours out. `labels` hold the origin. Shape: the labels, the sums, and `first`, the place.
    """
    grouped = rows.values(*labels).annotate(first=Min("first_at"), **{f"sum_{name}": Sum(name) for name in sums})
    sql, params = grouped.query.sql_with_params()
    named, added = _columns(labels), [f"sum_{name}" for name in sums]
    rest = ", ".join([*["%s"] * len(labels), "max(first)", *(f"sum({name})" for name in added)])
    statement = (
        f"WITH placed AS (SELECT grouped.*, row_number() OVER (ORDER BY origin <> %s, first, {named}) AS place"  # noqa: S608 (columns of a model)
        f" FROM ({sql}) AS grouped) SELECT {named}, first, {', '.join(added)}, place FROM placed WHERE place <= %s"
        f" UNION ALL SELECT {rest}, max(place) FROM placed WHERE place > %s HAVING count(*) > 0 ORDER BY place"
    )
    own = Span.Origin.PIPELINE.value
    with connection.cursor() as cursor:
        cursor.execute(statement, [own, *params, most, *[THE_REST] * len(labels), most])
        return [_row(found, labels, sums) for found in cursor.fetchall()]


def _columns(labels: Sequence[str]) -> str:
    return ", ".join(map(connection.ops.quote_name, labels))


def _row(found: Sequence[Any], labels: Sequence[str], sums: Sequence[str]) -> dict[str, Any]:
    names = dict(zip(labels, found, strict=False))
    return {**names, "first": found[-1], **dict(zip(sums, found[len(labels) + 1 : -1], strict=True))}


def durations_of(rows: QuerySet[Any], labels: Sequence[str], wanted: Sequence[Labels]) -> Iterator[tuple[Labels, Any]]:
    """How long the spans of each wanted set of labels took, and of all others under THE_REST."""
    # No span has none of the origins: the question is asked all the same where nothing is wanted.
    chosen = Q(origin="")
    for values in wanted:
        chosen |= Q(**dict(zip(labels, values, strict=True)))
    for (_, values), held in histograms(rows.filter(chosen), labels).items():
        yield values, held
    others = histograms(rows.exclude(chosen), ()).get((None, ()), {})
    if others:
        yield (THE_REST,) * len(labels), others


def added_up(parts: Iterator[tuple[Labels, dict[int, int]]]) -> dict[Labels, dict[int, int]]:
    """One histogram for each set of labels."""
    found: dict[Labels, dict[int, int]] = {}
    for labels, held in parts:
        histogram.add(found.setdefault(labels, {}), held)
    return found
