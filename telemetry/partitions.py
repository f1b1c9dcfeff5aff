"""Daily range partitions of a table: made by migration, ahead by a sweep, and on demand by the recorder.

Source: PostgreSQL 15 manual, 5.11 "Table Partitioning".
"""

import datetime as dt
import re
from typing import Any

from django.db import connection, migrations, transaction
from django.db.models import Model

DAYS_AHEAD = 8
_LOCK = 0x0B5E7
_NAME = re.compile(r"^(?P<table>\w+)_(?P<day>\d{8})$")


class CreatePartitionedModel(migrations.CreateModel):
    """The model's table exists, partitioned by day over `column`; its key is (primary key, column).

    PostgreSQL wants the partition column in every unique key, Django's admin wants a single-column key:
    so the database has the pair and Django is told of the first.
    """

    column = "start_time"

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        sql, params = schema_editor.table_sql(model)
        key = schema_editor.quote_name(model._meta.pk.column)
        by = schema_editor.quote_name(self.column)
        sql = sql.replace(" PRIMARY KEY", "", 1)
        body, end = sql.rsplit(")", 1)
        schema_editor.execute(f"{body}, PRIMARY KEY ({key}, {by})) PARTITION BY RANGE ({by}){end}", params or None)
        schema_editor.deferred_sql.extend(schema_editor._model_indexes_sql(model))

    def describe(self) -> str:
        return f"Create partitioned model {self.name}"


def _table(model: type[Model]) -> str:
    return model._meta.db_table


def partition_days(model: type[Model]) -> list[dt.date]:
    """Days that have a partition, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass",
            [_table(model)],
        )
        names = [row[0] for row in cursor.fetchall()]
    found = (_NAME.match(name) for name in names)
    return sorted(dt.datetime.strptime(m["day"], "%Y%m%d").date() for m in found if m and m["table"] == _table(model))  # noqa: DTZ007 (a date has no zone)


def ensure_partitions(model: type[Model], first: dt.date, days: int = 1) -> int:
    """Partitions for `days` days from `first` exist; how many were new. Safe to run twice at once."""
    have = set(partition_days(model))
    missing = [d for d in (first + dt.timedelta(days=n) for n in range(days)) if d not in have]
    for day in missing:
        begins, ends = f"{day:%Y-%m-%d} 00:00:00+00", f"{day + dt.timedelta(days=1):%Y-%m-%d} 00:00:00+00"
        # Held until the transaction ends: whoever waits for it then sees the table.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            name = connection.ops.quote_name(f"{_table(model)}_{day:%Y%m%d}")
            parent = connection.ops.quote_name(_table(model))
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {parent} FOR VALUES FROM ('{begins}') TO ('{ends}')"
            )
    return len(missing)


def drop_partitions(model: type[Model], before: dt.date) -> int:
    """Partitions of days before `before` are gone; how many went."""
    old = [day for day in partition_days(model) if day < before]
    for day in old:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {connection.ops.quote_name(f'{_table(model)}_{day:%Y%m%d}')}")
    return len(old)
