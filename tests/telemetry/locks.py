"""Advisory locks that stand now."""

from django.db import connection


def advisory_locks() -> int:
    """Those of this database: other tests run beside this one in theirs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE locktype = 'advisory' AND datname = current_database()"
        )
        return int(cursor.fetchone()[0])
