"""The only writer of reported spans: a batch at a time, each span once."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from telemetry.ingest.checking import UNSAID
from telemetry.metrics.late_spans import mark_late
from telemetry.models import Span
from telemetry.recorder import ensure_days_ahead

AT_ONCE = 1_000

# What a row of a reported span holds; the database fills in when it was recorded.
COLUMNS = tuple(field.column for field in Span._meta.concrete_fields if field.column and field.column != "recorded_at")
# What every row begins as: what a reporter does not say, and what only our own calls have.
_BASE: dict[str, Any] = UNSAID | {
    "door": "",
    "reason": "",
    "stage": "",
    "policy": "",
    "rule": "",
    "access_subject": "",
    "stages_us": {},
    "attributes": {},
}


def write_spans(rows: Sequence[dict[str, Any]], now: dt.datetime) -> int:
    """How many of the rows were new; the others are stored already. All of them or none are written.

    Locks: rows in the order of their ids, so that two batches of the same spans never wait for each other in a circle.
    """
    ensure_days_ahead({row["start_time"].date() for row in rows})
    ordered = sorted(rows, key=lambda row: row["id"].bytes)
    with transaction.atomic():
        written = sum(_insert(ordered[first : first + AT_ONCE]) for first in range(0, len(ordered), AT_ONCE))
        if written:
            mark_late((row["start_time"] for row in rows), now)
    return written


def _insert(rows: Sequence[dict[str, Any]]) -> int:
    """One statement: each row is the base and what it says beside that."""
    table = connection.ops.quote_name(Span._meta.db_table)
    columns = ", ".join(map(connection.ops.quote_name, COLUMNS))
    said = [{name: value for name, value in row.items() if value is not _BASE.get(name)} for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns}"  # noqa: S608 (names of the model's own columns)
            f" FROM json_populate_recordset(json_populate_record(NULL::{table}, %s), %s) ON CONFLICT DO NOTHING",
            [json.dumps(_BASE), json.dumps(said, default=str)],
        )
        return int(cursor.rowcount)
