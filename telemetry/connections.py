"""Giving the database connection back before a wait."""

from django.db import connection


def release_connection() -> None:
    """This thread holds no connection while it waits; the next query takes one from the pool again."""
    if not connection.in_atomic_block:
        connection.close()
