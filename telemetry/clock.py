"""The one clock that all processes share."""

import datetime as dt

from django.db import connection


def database_now() -> dt.datetime:
    """The database's time at this moment, also within a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: dt.datetime = cursor.fetchone()[0]
    return now
