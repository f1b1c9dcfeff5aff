"""Which span is kept, as what, and which is refused for which reason: tables."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.ingest.batch import Reporter, read_batch
from telemetry.ingest.bounds import OLDEST
from telemetry.ingest.checking import FIELDS
from telemetry.ingest.faults import FAULTS, SpanFault
from telemetry.models import Span
from tests.telemetry.ingest.sample import ALICE, NOW, fault_of, row_of, span

SECRET = "sk-abcdefghijklmnopqrstuvwxyz0123"
FAULTY = [
    ({"trace_id": ...}, "missing", "trace_id"),
    ({"trace_id": None}, "missing", "trace_id"),
    ({"span_id": ...}, "missing", "span_id"),
    ({"kind": ...}, "missing", "kind"),
    ({"service": ...}, "missing", "service"),
    ({"service": "  "}, "missing", "service"),
    ({"start_time": ...}, "missing", "start_time"),
    ({"end_time": ...}, "missing", "end_time"),
    ({"trace_id": "0" * 32}, "bad_id", "trace_id"),
    ({"trace_id": "a" * 31}, "bad_id", "trace_id"),
    ({"trace_id": "g" * 32}, "bad_id", "trace_id"),
    ({"trace_id": "٠" * 32}, "bad_id", "trace_id"),
    ({"trace_id": 1}, "wrong_type", "trace_id"),
    ({"span_id": "a" * 32}, "bad_id", "span_id"),
    ({"parent_span_id": "0" * 16}, "bad_id", "parent_span_id"),
    ({"span_id": "a" * 16, "parent_span_id": "A" * 16}, "bad_id", "parent_span_id"),
    ({"kind": "upstream"}, "unknown_word", "kind"),
    ({"kind": ["model_call"]}, "wrong_type", "kind"),
    ({"token_source": "guess"}, "unknown_word", "token_source"),
    ({"service": "observatory"}, "reserved_service", "service"),
    ({"service": " Observatory "}, "reserved_service", "service"),
    ({"service": "\uff4fbservatory"}, "reserved_service", "service"),
    ({"service": "obser\u200bvatory"}, "reserved_service", "service"),
    ({"service": "\u202eobservatory \u3164"}, "reserved_service", "service"),
    ({"start_time": "2026-11-21T11:59:00"}, "bad_time", "start_time"),
    ({"start_time": "20261121T115900Z"}, "bad_time", "start_time"),
    ({"start_time": "2026-W47-6T11:59:00Z"}, "bad_time", "start_time"),
    ({"start_time": "2026-11-31T11:59:00Z"}, "bad_time", "start_time"),
    ({"start_time": "0001-01-01T00:00:00+23:59"}, "bad_time", "start_time"),
    ({"start_time": 1795262340}, "wrong_type", "start_time"),
    ({"end_time": "2026-11-21T11:00:00Z"}, "ends_before_start", "end_time"),
    ({"start_time": "2026-11-14T11:59:59Z"}, "too_old", "start_time"),
    ({"start_time": "2026-11-21T12:05:01Z"}, "in_the_future", "start_time"),
    ({"end_time": "2026-11-21T12:05:01Z"}, "in_the_future", "end_time"),
    ({"prompt_tokens": -1}, "out_of_range", "prompt_tokens"),
    ({"prompt_tokens": 10**9}, "out_of_range", "prompt_tokens"),
    ({"prompt_tokens": 1.5}, "wrong_type", "prompt_tokens"),
    ({"prompt_tokens": True}, "wrong_type", "prompt_tokens"),
    ({"completion_tokens": "12"}, "wrong_type", "completion_tokens"),
    ({"retries": 10_001}, "out_of_range", "retries"),
    ({"cost_usd": "-1"}, "wrong_type", "cost_usd"),
    ({"cost_usd": -1}, "out_of_range", "cost_usd"),
    ({"cost_usd": "NaN"}, "wrong_type", "cost_usd"),
    ({"cost_usd": float("nan")}, "out_of_range", "cost_usd"),
    ({"cost_usd": "10000.01"}, "out_of_range", "cost_usd"),
    ({"cost_usd": 1e300}, "out_of_range", "cost_usd"),
    ({"cost_usd": True}, "wrong_type", "cost_usd"),
    ({"confidence": 1.01}, "out_of_range", "confidence"),
    ({"confidence": float("nan")}, "out_of_range", "confidence"),
    ({"confidence": "high"}, "wrong_type", "confidence"),
    ({"shadow_agreement": 1}, "wrong_type", "shadow_agreement"),
    ({"golden_passed": "yes"}, "wrong_type", "golden_passed"),
    ({"session_id": "s" * 65}, "too_long", "session_id"),
    ({"attributes": []}, "wrong_type", "attributes"),
    ({"attributes": {f"a{n}": n for n in range(129)}}, "too_long", "attributes"),
    ({"name": 7}, "wrong_type", "name"),
    ({"foo": 1}, "unknown_field", "foo"),
    ({SECRET: 1}, "unknown_field", "[masked api-key]"),
]
# What only this installation says of a call: a reporter who says it is refused, whatever the value.
OURS = {field.name for field in Span._meta.concrete_fields} - set(FIELDS)


@pytest.mark.parametrize(
    ("said", "takes"),
    [
        ({"confidence": 2}, "(0 to 1)"),
        ({"retries": -1}, "(0 to 10000)"),
        ({"cost_usd": "-1"}, "(a number, or a text such as 0.00125)"),
        ({"kind": "chat"}, "(model_call, other, tool_call)"),
        ({"start_time": "2020-01-01T00:00:00Z"}, "(7 days ago at most)"),
        ({"end_time": "2030-01-01T00:00:00Z"}, "(5 minutes ahead at most)"),
        ({"session_id": "s" * 65}, "(at most 64 characters)"),
        ({"fallback_used": 1}, "(true or false)"),
    ],
)
def test_a_fault_says_what_would_do(said, takes):
    _, [rejected] = read_batch([span(**said)], ALICE, NOW, OLDEST)
    assert rejected.detail.endswith(f"{takes}.")


@pytest.mark.parametrize(("fields", "code", "field"), FAULTY)
def test_a_fault_is_told_by_its_code_and_its_field(fields, code, field):
    assert fault_of(span(**fields)) == (code, field)


def test_every_fault_is_reached():
    assert {code for _, code, _ in FAULTY} == set(FAULTS)


@pytest.mark.parametrize("reported", [None, 7, "span", [], [["trace_id", "a"]]])
def test_what_is_no_object_is_no_span(reported):
    assert fault_of(reported) == ("wrong_type", "span")


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_only_we_say_of_a_call_can_not_be_reported(name):
    assert fault_of(span(**{name: "anything"})) == ("unknown_field", name)


def test_what_is_ours_is_all_that_tells_who_decided_what():
    assert {"agent", "agent_key", "policy", "rule", "decision", "reason", "origin", "door", "access_subject"} <= OURS


def test_a_fault_never_quotes_the_value():
    for field in FIELDS:
        _, rejected = read_batch([span(**{field: {SECRET: SECRET}})], ALICE, NOW, OLDEST)
        assert SECRET not in str([one.as_json() for one in rejected])


def test_what_is_said_is_kept():
    said = {
        "parent_span_id": "b" * 16,
        "kind": "tool_call",
        "name": "tools/call search",
        "service": "example",
        "provider": "OpenAI",
        "model": "gpt-4o",
        "tool_name": "search",
        "prompt_tokens": 12,
        "completion_tokens": 3.0,
        "token_source": "tiktoken",
        "cost_usd": "0.000123456789",
        "retries": 2,
        "fallback_used": True,
        "confidence": 0.64,
        "confidence_gate_blocked": True,
        "prompt_diff_score": 0.42,
        "shadow_agreement": False,
        "shadow_disagreement_score": 1,
        "deterministic_fallback": True,
        "high_risk_path": True,
        "golden_passed": False,
        "error_type": "TimeoutError",
        "session_id": "run-7",
    }
    row = row_of(span(**said))
    kept = said | {"provider": "openai", "completion_tokens": 3, "cost_usd": Decimal("0.00012346")}
    assert {name: row[name] for name in said} == kept
    assert (row["decision"], row["cost_source"]) == ("error", "reported")
    assert (row["agent"], row["agent_key"], row["origin"]) == ("alice-agent", "abcd1234", "sdk")


def test_what_is_not_said_is_empty():
    row = row_of(span(prompt_tokens=None, golden_passed=None))
    assert (row["decision"], row["token_source"], row["cost_usd"], row["golden_passed"]) == ("ok", "", None, None)
    assert row_of(span(token_source="estimate"))["token_source"] == ""
    assert row_of(span(prompt_tokens=1))["token_source"] == "reported"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T11:59:00Z", (11, 59, 0, 0)),
        ("2026-11-21t11:59:00z", (11, 59, 0, 0)),
        ("2026-11-21 12:59:00.5+01:00", (11, 59, 0, 500_000)),
        ("2026-11-21T11:59:00.123456789Z", (11, 59, 0, 123_456)),
    ],
)
def test_times_are_kept_in_utc_to_the_microsecond(text, moment):
    found = row_of(span(start_time=text))["start_time"]
    assert found == dt.datetime(2026, 11, 21, *moment, tzinfo=dt.UTC)


def test_texts_are_masked_cut_and_can_be_stored():
    row = row_of(span(name=f"see {SECRET} " + "x" * 500, model="gpt\x00\ud800", error_type="bob@example.com failed"))
    assert SECRET not in row["name"]
    assert len(row["name"]) == 120
    assert row["model"] == "gpt\ufffd\ufffd"
    assert "bob@" not in row["error_type"]


def test_attributes_are_of_the_list_and_never_content():
    said = {
        "mcp.method.name": "tools/call",
        "http.response.status_code": 200,
        "mcp_observatory.decision": "ok",
        "server.address": SECRET,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.input.messages": "my password is hunter2",
        "gen_ai.prompt": "hello",
        "gen_ai.tool.call.arguments": "{}",
        "mcp.session.id": "s",
        "something.else": 1,
        "error.type": {"a": "b"},
        "jsonrpc.request.id": 4111111111111111,
        "network.transport": float("inf"),
    }
    assert row_of(span(attributes=said))["attributes"] == {
        "mcp.method.name": "tools/call",
        "http.response.status_code": 200,
        "mcp_observatory.decision": "ok",
        "server.address": "[masked api-key]",
        "gen_ai.request.temperature": 0.5,
    }


def test_the_same_span_has_one_row_for_each_reporter_and_begin():
    one = span()
    later = one | {"start_time": one["end_time"]}
    ids = {row_of(one)["id"], row_of(dict(one))["id"], row_of(one | {"name": "again"})["id"]}
    assert len(ids) == 1
    [theirs], _ = read_batch([one], Reporter("bobs-agent", "x", "otlp"), NOW, OLDEST)
    assert len(ids | {row_of(later)["id"], theirs["id"]}) == 3


def test_the_good_ones_of_a_batch_are_kept_in_order():
    batch = [span(name="0"), 7, span(name="2"), span(kind="x"), span(name="4")]
    rows, rejected = read_batch(batch, ALICE, NOW, OLDEST)
    assert [row["name"] for row in rows] == ["0", "2", "4"]
    assert [one.index for one in rejected] == [1, 3]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "agent"]) | st.text(max_size=30), JSON, max_size=6))
def test_whatever_is_sent_is_a_row_or_a_fault(fields):
    rows, rejected = read_batch([span() | fields], ALICE, NOW, OLDEST)
    assert len(rows) + len(rejected) == 1
    for one in rejected:
        assert one.code in FAULTS


def test_a_fault_of_no_registered_code_is_a_fault_of_ours():
    with pytest.raises(KeyError):
        _ = SpanFault("nothing", "field").detail
