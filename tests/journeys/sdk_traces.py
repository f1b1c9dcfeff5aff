"""The client library's table in the test's own database, and what its README says to run."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from tests.serving import database_url

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "sdk" / "mcp_observatory" / "schema" / "postgres.sql"
PROGRAM = re.compile(r"```python\n(import asyncio\nfrom mcp_observatory import instrument\n.*?)```", re.DOTALL)


def quick_start():
    """The snippet of the README, but for its connection string."""
    (program,) = PROGRAM.findall((ROOT / "sdk" / "README.md").read_text(encoding="utf-8"))
    written = "postgresql://user:pass@localhost/mcp"
    assert program.count(written) == 1
    return program.replace(written, database_url())


def run(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "sdk"), "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def table():
    """The table is there, twice made, and gone afterwards."""
    with psycopg.connect(database_url(), autocommit=True) as connection:
        for _ in range(2):
            connection.execute(SCHEMA.read_text(encoding="utf-8"))
        try:
            yield
        finally:
            connection.execute("DROP TABLE IF EXISTS mcp_traces")


def rows():
    with psycopg.connect(database_url(), row_factory=dict_row) as connection:
        return connection.execute("SELECT * FROM mcp_traces ORDER BY start_time, span_id").fetchall()
