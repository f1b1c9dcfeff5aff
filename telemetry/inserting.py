"""Rows that every call writes, without a model's `save()`, which costs the process more than the row the database."""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from typing import Any

from django.db import connection, models
from django.db.models.expressions import DatabaseDefault

# What the database's driver writes as the field would have it. A string subclass is the field's to judge.
_AS_IT_IS = frozenset({str, int, float, bool, type(None), dt.datetime, uuid.UUID})


def insert(row: models.Model) -> None:
    """The row is part of the running transaction, and has what the database gave it. No signal is sent.

    Raises what `save(force_insert=True)` raises.
    """
    given, left = [], []
    values = []
    for field in row._meta.concrete_fields:
        value = getattr(row, field.attname)
        if isinstance(value, DatabaseDefault) or (value is None and field.primary_key):
            left.append(field)
            continue
        given.append(field.column)
        is_plain = type(value) in _AS_IT_IS and not isinstance(field, models.JSONField)
        values.append(value if is_plain else field.get_db_prep_save(value, connection))
    with connection.cursor() as cursor:
        cursor.execute(_statement(row._meta.db_table, tuple(given), tuple(field.column for field in left)), values)
        for field, value in zip(left, cursor.fetchone() if left else (), strict=True):
            setattr(row, field.attname, _read(field, value))
    row._state.adding = False
    row._state.db = connection.alias


@functools.lru_cache(maxsize=64)
def _statement(table: str, given: tuple[str, ...], left: tuple[str, ...]) -> str:
    quote = connection.ops.quote_name
    places = ", ".join(["%s"] * len(given))
    statement = f"INSERT INTO {quote(table)} ({', '.join(map(quote, given))}) VALUES ({places})"  # noqa: S608 (a model's own names)
    return f"{statement} RETURNING {', '.join(map(quote, left))}" if left else statement


def _read(field: models.Field[Any, Any], value: Any) -> Any:
    reads = getattr(field, "from_db_value", None)
    return reads(value, None, connection) if reads is not None else value
