"""Spans reported to `POST /telemetry/spans`: by the public door, as an SDK sends them."""

import datetime as dt
import gzip
import json
import tracemalloc
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.models import AuditEvent, PriceOverride, Span, StaleMinute
from telemetry.models.span import span_row_id
from tests.races.threads import at_once
from tests.telemetry.ingest.sample import span as sample
from tools.counting_cache import CountingCache
from tools.scopes import Scope

PATH = "/telemetry/spans"
BOUNDARY = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK")


def span(**fields):
    return sample(timezone.now(), **fields)


def report(caller, *spans):
    return caller.post(PATH, {"spans": list(spans)})


def zipped(caller, body, **headers):
    return caller.post(PATH, body, Content_Encoding="gzip", **headers)


def reported():
    return Span.objects.filter(origin="sdk")


@pytest.fixture
def caller(world):
    return world.caller(world.allowing())


@pytest.mark.django_db
def test_good_spans_of_a_batch_are_kept_and_the_others_told_apart(caller):
    answer = report(caller, span(name="0"), span(service="observatory"), span(name="2"), span(agent="somebody"))
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 2,
        "duplicates": 0,
        "rejected": [
            {"index": 1, "code": "reserved_service", "detail": "service: the name is this installation's own."},
            {
                "index": 3,
                "code": "unknown_field",
                "detail": "agent: a span has no such field, or a reporter can't set it.",
            },
        ],
    }
    kept = reported()
    assert {s.name for s in kept} == {"0", "2"}
    assert {(s.agent, s.agent_key, s.door, s.policy) for s in kept} == {("billing-agent", caller.key.public_id, "", "")}


@pytest.mark.django_db
def test_a_batch_of_none_that_is_good_is_refused(caller):
    answer = report(caller, span(kind="x"), 7)
    assert (answer.status_code, answer.json()["code"]) == (422, "spans_refused")
    assert [one["code"] for one in answer.json()["rejected"]] == ["unknown_word", "wrong_type"]
    assert report(caller).json() == {"accepted": 0, "duplicates": 0, "rejected": []}


@pytest.mark.django_db
def test_a_key_without_the_scope_reports_nothing(world):
    without = world.caller(world.allowing(), scopes=[Scope.TELEMETRY_READ])
    assert report(without, span()).status_code == 403
    assert without.post(PATH, {"spans": [span()]}, X_API_Key="wrong").status_code == 401
    assert not reported().exists()


@pytest.mark.django_db
def test_a_second_delivery_is_counted_and_changes_nothing(caller, world):
    one, two = span(name="first"), span()
    assert report(caller, one, one).json() == {"accepted": 1, "duplicates": 1, "rejected": []}
    again = report(caller, one | {"name": "second"}, two).json()
    assert (again["accepted"], again["duplicates"]) == (1, 1)
    assert reported().get(span_id=one["span_id"]).name == "first"
    other = world.caller(caller.key.policy, name="other-agent")
    assert report(other, one).json()["accepted"] == 1, "another reporter's is another span"


@pytest.mark.django_db
def test_our_own_spans_are_out_of_a_reporters_reach(caller):
    """Neither what is there nor what is to come: whatever ids a reporter sends."""
    trace_id = caller.call("search_customer", {"query": "a"})["X-Trace-Id"]
    [own] = Span.objects.filter(trace_id=trace_id).values()
    times = {"start_time": own["start_time"].isoformat(), "end_time": own["end_time"].isoformat()}
    theirs = span(trace_id=trace_id, span_id=own["span_id"], kind="tool_call", tool_name="search_customer", **times)
    assert report(caller, theirs).json()["accepted"] == 1
    assert Span.objects.filter(id=own["id"]).values().get() == own
    assert Span.objects.tool_calls().filter(trace_id=trace_id).count() == 1
    # A trace to come: the reporter was here first, and the call is recorded all the same.
    coming = span(trace_id="c" * 32, span_id="d" * 16)
    assert report(caller, coming).json()["accepted"] == 1
    caller.call("search_customer", {"query": "a"}, traceparent=f"00-{'c' * 32}-{'d' * 16}-01")
    [own] = Span.objects.filter(trace_id="c" * 32, origin="pipeline")
    assert own.id == span_row_id("c" * 32, own.span_id)


@pytest.mark.django_db
def test_cost_is_as_reported_as_overridden_as_published_or_unknown(caller):
    PriceOverride.objects.create(provider="acme", model="house", input_usd=Decimal(4), output_usd=Decimal(0))
    tokens = {"prompt_tokens": 1000, "completion_tokens": 100}
    report(
        caller,
        span(name="reported", provider="openai", model="gpt-4o", cost_usd="0.01", **tokens),
        span(name="override", provider="Acme", model="house", **tokens),
        span(name="table", provider="openai", model="gpt-4o", **tokens),
        span(name="resembles", provider="openai", model="my-gpt-4o-internal", **tokens),
        span(name="no provider", model="gpt-4o", **tokens),
        span(name="no tokens", provider="openai", model="gpt-4o"),
    )
    assert {s.name: (s.cost_usd, s.cost_source) for s in reported()} == {
        "reported": (Decimal("0.01"), "reported"),
        "override": (Decimal("0.004"), "override"),
        "table": (Decimal("0.0035"), "table"),
        "resembles": (None, ""),
        "no provider": (None, ""),
        "no tokens": (None, ""),
    }


@pytest.mark.django_db
def test_minutes_that_may_be_summed_up_already_are_marked(caller):
    now = timezone.now()
    moments = [now - dt.timedelta(minutes=n) for n in (0, 1, 5, 5, 90)]
    report(caller, *(span(start_time=moment.isoformat(), end_time=now.isoformat()) for moment in moments))
    whole = {moment.replace(second=0, microsecond=0) for moment in moments[2:]}
    assert set(StaleMinute.objects.values_list("minute", flat=True)) == whole


@pytest.mark.django_db(transaction=True)
def test_a_day_without_a_partition_gets_one(caller):
    began = timezone.now() - dt.timedelta(days=6)
    times = {"start_time": began.isoformat(), "end_time": began.isoformat()}
    assert report(caller, span(**times)).json()["accepted"] == 1


@pytest.mark.django_db
def test_spans_older_than_they_are_kept_are_not_taken(caller, settings):
    settings.SPAN_DAYS = 2
    began = (timezone.now() - dt.timedelta(days=3)).isoformat()
    answer = report(caller, span(start_time=began, end_time=began))
    assert answer.json()["rejected"][0]["code"] == "too_old"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "malformed_json"),
        ('{"spans": [NaN]}', 400, "number_not_representable"),
        ('{"spans": [], "spans": []}', 400, "duplicate_key"),
        ("[" * 100, 400, "too_deep"),
        ("[]", 400, "not_an_object"),
        ("{}", 400, "invalid_parameter"),
        ('{"spans": {}}', 400, "invalid_parameter"),
        ('{"spans": [], "more": 1}', 400, "invalid_parameter"),
        (json.dumps({"spans": [{}] * 1001}), 413, "too_large"),
        (" " * (4 * 1024 * 1024 + 1), 413, "too_large"),
    ],
)
def test_what_is_no_batch_is_refused(caller, body, status, code):
    for answer in (caller.post(PATH, body), zipped(caller, gzip.compress(body.encode()))):
        assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.django_db
def test_a_zipped_batch_is_taken(caller):
    body = json.dumps({"spans": [span() for _ in range(20)]}).encode()
    assert zipped(caller, gzip.compress(body)).json()["accepted"] == 20
    in_two = gzip.compress(body[:100]) + gzip.compress(body[100:])
    assert zipped(caller, in_two).json()["duplicates"] == 20
    for broken in (body, gzip.compress(body)[:-9], gzip.compress(b"") * 17):
        assert zipped(caller, broken).json()["code"] == "malformed_json"
    assert caller.post(PATH, body, Content_Encoding="br").status_code == 415


@pytest.mark.django_db
def test_a_bomb_is_refused_without_its_memory(caller):
    bomb = gzip.compress(b"\0" * 60_000_000, 9)
    assert len(bomb) < 100_000
    tracemalloc.start()
    answer = zipped(caller, bomb)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert most < 20_000_000


@pytest.mark.django_db
def test_a_quota_is_a_keys_and_no_batch_is_kept_in_part(caller, world, settings):
    settings.SPANS_PER_MINUTE = 5
    other = world.caller(caller.key.policy, name="other-agent")
    assert report(caller, span(), span(), span()).status_code == 200
    refused = report(caller, span(), span(), span())
    assert (refused.status_code, refused.json()["code"]) == (429, "span_quota_used_up")
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert reported().count() == 3
    assert report(caller, span(), span()).status_code == 200, "what was refused was not counted"
    assert report(caller, span()).status_code == 429
    assert report(other, span()).status_code == 200


@pytest.mark.django_db
def test_where_spans_can_not_be_counted_none_are_kept(caller, monkeypatch):
    def down(*args):
        raise ConnectionError("no store")

    monkeypatch.setattr(CountingCache, "take", down)
    answer = report(caller, span())
    assert (answer.status_code, answer.json()["code"]) == (503, "rate_store_unavailable")
    assert not reported().exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_a_quota_is_exact_under_threads(caller, settings):
    settings.SPANS_PER_MINUTE = 50
    statuses = at_once(16, lambda n: report(caller, *(span() for _ in range(7))).status_code)
    assert sorted(statuses) == [200] * 7 + [429] * 9
    assert reported().count() == 49


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_the_same_batch_from_many_threads_is_stored_once_and_counted_right(caller):
    began = (timezone.now() - dt.timedelta(minutes=10)).isoformat()
    batch = [span(start_time=began) for _ in range(50)]
    turned = batch[::-1]
    answers = [a.json() for a in at_once(8, lambda n: report(caller, *(turned if n % 2 else batch)))]
    assert sum(a["accepted"] for a in answers) == 50
    assert sum(a["duplicates"] for a in answers) == 7 * 50
    assert reported().count() == 50


@pytest.mark.django_db(transaction=True)
def test_a_batch_costs_the_same_few_statements_whatever_its_size(caller):
    report(caller, span())
    began = (timezone.now() - dt.timedelta(minutes=10)).isoformat()
    priced = {"provider": "openai", "model": "gpt-4o", "prompt_tokens": 1, "completion_tokens": 1}
    for batch, most in (
        ([span() for _ in range(200)], 2),  # the snapshot's version, the spans
        ([span(start_time=began, **priced) for _ in range(200)], 4),  # and the prices, the minutes
        ([span(kind="x")], 1),
    ):
        with CaptureQueriesContext(connection) as captured:
            report(caller, *batch)
        statements = [q["sql"] for q in captured if not q["sql"].startswith(BOUNDARY)]
        assert len(statements) <= most, statements
        assert sum(q["sql"].startswith("COMMIT") for q in captured) <= 1


@pytest.mark.django_db
def test_what_is_reported_is_no_audit_event(caller):
    before = AuditEvent.objects.count()
    report(caller, span())
    assert AuditEvent.objects.count() == before


@pytest.mark.django_db
def test_whatever_is_sent_is_answered(caller):
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
        max_leaves=5,
    )
    fields = st.dictionaries(st.sampled_from(sorted(sample())) | st.text(max_size=10), values, max_size=4)
    spans = st.lists(fields.map(lambda said: sample(timezone.now()) | said) | values, max_size=3)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(body=st.fixed_dictionaries({"spans": spans}) | values)
    def ask(body):
        assert caller.post(PATH, json.dumps(body)).status_code in (200, 400, 413, 422)

    ask()
