"""A million spans of a week: rollups made, and every page and figure over them; no page reads what it does not show."""

import datetime as dt
import statistics
import sys
import time

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from telemetry.metrics.rollups import roll_up, watermark
from telemetry.metrics.snapshot import snapshot
from telemetry.metrics.totals import Question
from telemetry.models import HourRollup, MinuteRollup, Span
from tests.performance.many_spans import DAYS, load

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.alone]
SPANS, ROUNDS = 1_000_000, 3
LIST = "/admin/telemetry/span/"
CHARTS = "/admin/what-happened/"
DAY = dt.timedelta(days=1)


def milliseconds(act):
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


@pytest.fixture
def say(capsys):
    def write(text):
        with capsys.disabled():
            sys.stdout.write(f"\n{text}")

    return write


@pytest.fixture
def now(db, say):
    now = timezone.now()
    began = time.perf_counter()
    load(SPANS, now - dt.timedelta(minutes=1))
    loaded = time.perf_counter()
    while roll_up(now):
        pass
    rolled = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE telemetry_minuterollup, telemetry_hourrollup")
    say(
        f"{SPANS} spans of {DAYS} days: COPY {SPANS / (loaded - began):,.0f} a second, rolled up at"
        f" {SPANS / (rolled - loaded):,.0f} a second into {MinuteRollup.objects.count()} minute and"
        f" {HourRollup.objects.count()} hour rows"
    )
    return now


def paths():
    """Each page of spans: the list plain, kept by each filter to what is common, rare and not there, and deep in it."""
    some = Span.objects.order_by("start_time")[SPANS // 2]
    asked = {
        "plain": "",
        "page 2": "?p=2",
        "page 2000": "?p=2000",
        "denied": "?decision=denied",
        "held": "?decision=held",
        "error": "?decision=error",
        "replayed (none)": "?decision=replayed",
        "a busy tool": "?tool=tool_0",
        "a rare tool": "?tool=tool_39",
        "no such tool": "?tool=nothing",
        "a busy agent": "?agent=agent-0",
        "a rare agent": "?agent=agent-24",
        "a service": "?service=service-3",
        "no such service": "?service=nothing",
        "a model": "?model=model-7",
        "no such model": "?model=nothing",
        "of the SDK": "?origin__exact=sdk",
        "of OTLP (none)": "?origin__exact=otlp",
        "model calls": "?kind__exact=model_call",
        "upstream calls (none)": "?kind__exact=upstream",
        "a time": f"?start_time_from_0={some.start_time:%Y-%m-%d}&start_time_to_0={some.start_time:%Y-%m-%d}",
        "a rare tool, denied, at a time": f"?tool=tool_39&decision=denied&start_time_from_0={some.start_time:%Y-%m-%d}",
        "found: a trace": f"?q={some.trace_id}",
        "found: a tool": "?q=tool_39",
        "found: a reason": "?q=rule_denied",
        "found: nothing": "?q=nothing",
    }
    pages = {f"list, {word}": f"{LIST}{words}" for word, words in asked.items()}
    pages["a span"] = f"{LIST}{some.pk}/change/"
    pages["a waterfall"] = f"{LIST}trace/{some.trace_id}/"
    for window in ("1h", "24h", "7d", "30d"):
        pages[f"charts, {window}"] = f"{CHARTS}?window={window}"
    pages["charts, 7d of an agent"] = f"{CHARTS}?window=7d&agent=agent-3"
    return pages


# The columns of the index that finds each page's rows.
FOUND_BY = {
    "plain": "start_time_idx",
    "page 2": "start_time_idx",
    "denied": "start_time_idx",
    "a busy tool": "tool_name_start_time_idx",
    "a rare tool": "tool_name_start_time_idx",
    "no such tool": "tool_name_start_time_idx",
    "a rare agent": "agent_start_time_idx",
    "a time": "start_time_idx",
    "found: a trace": "trace_id_idx",
}
# No page costs more than so many counts of all spans.
MOST_COUNTS = 25


def asked_of_the_database(act):
    with CaptureQueriesContext(connection) as captured:
        act()
    return [query["sql"] for query in captured.captured_queries]


def plan_of(client, path):
    asked = asked_of_the_database(lambda: client.get(path))
    listing = next(sql for sql in asked if "LIMIT 51" in sql and Span._meta.db_table in sql)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {listing}")
        return "\n".join(row[0] for row in cursor.fetchall())


@pytest.mark.timeout(1_200)
def test_pages_of_a_million_spans(world, now, say):
    client = Client()
    client.force_login(world.alice)
    caller = world.caller(None)
    count = milliseconds(Span.objects.count)
    say(f"{'a bare count of all spans':48} {count:7.0f} ms")
    pages = {word: lambda path=path: client.get(path) for word, path in paths().items()}
    for hours in (1, 24, 24 * 7):
        question = Question(watermark() - hours * DAY / 24, watermark(), {}, ["tool_name"])
        pages[f"snapshot by tool, {hours} h"] = lambda asked=question: snapshot(asked)
    for path in FIGURES:
        pages[path] = lambda path=path: caller.get(path)
    took = {word: milliseconds(act) for word, act in pages.items()}
    for word, each in took.items():
        say(f"{word:48} {each:7.0f} ms")
    say("")
    assert {word: each for word, each in took.items() if each > MOST_COUNTS * count} == {}
    for word, path in paths().items():
        index = FOUND_BY.get(word.removeprefix("list, "))
        assert index is None or index in plan_of(client, path), (word, plan_of(client, path))
    for word, act in pages.items():
        if word.startswith(("charts", "snapshot", "/")):
            assert [sql for sql in asked_of_the_database(act) if f'FROM "{Span._meta.db_table}"' in sql] == [], word


FIGURES = ("/metrics", "/telemetry/metrics?window=604800", "/telemetry/metrics?window=86400&group_by=tool,agent")
