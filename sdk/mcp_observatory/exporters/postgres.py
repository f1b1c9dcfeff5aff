"""Spans as rows of the table mcp_traces, in a PostgreSQL of your own. Needs the extra `postgres`."""

from collections.abc import Sequence
from typing import Any, Unpack

from mcp_observatory.exporters.background import BackgroundExporter, NotTaken, SendAgain, SendSmaller
from mcp_observatory.exporters.options import Options
from mcp_observatory.schema import PATH
from mcp_observatory.trace_context import TraceContext
from mcp_observatory.wire import COLUMNS, record

try:
    import psycopg
    from psycopg.types.json import Jsonb
    from psycopg_pool import ConnectionPool, PoolTimeout
except ImportError as missing:
    raise ImportError('PostgresExporter needs psycopg: pip install "mcp-observatory[postgres]"') from missing

_VALUES = ", ".join(f"%({name})s" for name in COLUMNS)
_INSERT = (
    f"INSERT INTO mcp_traces ({', '.join(COLUMNS)}) VALUES ({_VALUES})"  # noqa: S608 (the names are ours, no caller's)
    " ON CONFLICT (trace_id, span_id) DO NOTHING"
)
_UNDEFINED = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)


class SchemaMissing(RuntimeError):
    """The table is not there, or not as this version wants it."""


class PostgresExporter(BackgroundExporter):
    """Writes to the table that schema/postgres.sql makes (`python -m mcp_observatory.schema` prints it).

    Connects at the first span, in its own thread.
    """

    def __init__(
        self,
        dsn: str,
        *,
        connect_timeout_s: float = 10.0,
        batch_size: int = 500,
        **options: Unpack[Options],
    ) -> None:
        self._dsn = dsn
        self._connect_timeout_s = connect_timeout_s
        self._pool: ConnectionPool | None = None
        # A forked child never closes the parent's connections; it only forgets them here.
        self._of_parents: list[ConnectionPool] = []
        super().__init__(batch_size=batch_size, **options)

    def check(self) -> None:
        """Raises SchemaMissing where the table is not as it should be, psycopg.Error where there is no way to it."""
        with psycopg.connect(self._dsn, connect_timeout=max(1, round(self._connect_timeout_s))) as connection:
            try:
                connection.execute(f"SELECT {', '.join(COLUMNS)} FROM mcp_traces LIMIT 0")  # noqa: S608 (our own names)
            except _UNDEFINED as error:
                raise SchemaMissing(_missing()) from error

    def send(self, spans: Sequence[TraceContext]) -> int:
        rows = [_row(span) for span in spans]
        try:
            with self._pooled().connection(self.time_left_s(self._connect_timeout_s)) as connection:
                connection.cursor().executemany(_INSERT, rows)
        except _UNDEFINED:
            self.warn_once("schema", "%s", _missing())
            raise NotTaken("schema_missing") from None
        except (psycopg.DataError, psycopg.IntegrityError):
            raise SendSmaller("refused") from None
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise SendAgain(type(error).__name__) from None
        return 0

    def disconnect(self) -> None:
        if self._pool is not None:
            self._pool.close(timeout=1.0)

    def after_fork(self) -> None:
        if self._pool is not None:
            self._of_parents.append(self._pool)
            self._pool = None
        super().after_fork()

    def _pooled(self) -> ConnectionPool:
        """The pool, open. One connection: one thread writes."""
        if self._pool is None:
            self._pool = ConnectionPool(
                self._dsn,
                min_size=0,
                max_size=1,
                open=False,
                name="mcp-observatory",
                kwargs={"fallback_application_name": "mcp-observatory"},
                check=ConnectionPool.check_connection,
            )
            self._pool.open()
        return self._pool


def _row(span: TraceContext) -> dict[str, Any]:
    row = record(span)
    return {**row, "attributes": Jsonb(row["attributes"])}


def _missing() -> str:
    return f'the table mcp_traces is missing or of another version; psql "$DATABASE_URL" -f {PATH} makes it'
