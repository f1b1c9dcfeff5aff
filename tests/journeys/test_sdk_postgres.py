"""The client library's PostgreSQL exporter against real PostgreSQL: each span once, whatever happens on the way."""

import os

import psycopg
import pytest
from mcp_observatory import TraceContext, instrument
from mcp_observatory.exporters.postgres import PostgresExporter, SchemaMissing

from tests.journeys.sdk_traces import rows, table
from tests.serving import database_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def exporting():
    made = []

    def make(**options):
        made.append(PostgresExporter(database_url(), **{"interval_s": 0.01, "random": lambda: 0.1} | options))
        return made[-1]

    yield make
    for exporter in made:
        exporter.close()


def span(name="t", **fields):
    return TraceContext("s", "tool_call", tool_name=name, **fields)


def test_span_that_comes_twice_is_one_row(exporting):
    exporter, one = exporting(), span()
    with table():
        exporter.export(one)
        assert exporter.flush(10)
        exporter.export(one)
        assert exporter.flush(10)
        assert len(rows()) == 1
    assert exporter.counts.sent == 2


def test_span_that_the_table_refuses_takes_no_other_with_it(exporting):
    exporter = exporting(interval_s=600.0)
    with table():
        for name in "abcd":
            exporter.export(span(name, trace_id="f" * 33) if name == "c" else span(name))
        assert exporter.flush(10)
        assert sorted(row["tool_name"] for row in rows()) == ["a", "b", "d"]
    assert (exporter.counts.sent, exporter.counts.dropped) == (3, {"refused": 1})


def test_connection_that_was_cut_is_made_again(exporting):
    exporter = exporting()
    with table():
        exporter.export(span("a"))
        assert exporter.flush(10)
        with psycopg.connect(database_url(), autocommit=True) as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'mcp-observatory'"
            ).fetchall()
        # Also one of an exporter before it, where that has not gone yet.
        assert set(cut) == {(True,)}
        exporter.export(span("b"))
        assert exporter.flush(10)
        assert [row["tool_name"] for row in rows()] == ["a", "b"]


def test_table_that_comes_later_takes_what_comes_later(exporting, caplog):
    exporter = exporting()
    with pytest.raises(SchemaMissing, match=r"postgres\.sql"):
        exporter.check()
    exporter.export(span("a"))
    assert exporter.flush(10)
    with table():
        exporter.check()
        exporter.export(span("b"))
        assert exporter.flush(10)
        assert [row["tool_name"] for row in rows()] == ["b"]
    assert exporter.counts.dropped == {"schema_missing": 1}
    assert "postgres.sql" in caplog.text


def test_forked_child_has_a_connection_of_its_own(exporting):
    exporter = exporting()
    interceptor = instrument("s", exporter)

    def call(name):
        with interceptor.span("tool_call", tool_name=name):
            pass
        return exporter.flush(10)

    with table():
        assert call("parent")
        child = os.fork()
        if child == 0:
            os._exit(0 if call("child") else 9)
        assert os.waitpid(child, 0)[1] == 0
        assert call("parent")
        assert [row["tool_name"] for row in rows()] == ["parent", "child", "parent"]
    assert exporter.counts.lost == 0
