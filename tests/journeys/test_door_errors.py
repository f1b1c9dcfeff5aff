"""Bad input at the public door: a clear problem document, and nothing stored or run."""

import time

import pytest

from observatory.demo.models import Ticket
from telemetry.models import AuditEvent, Span

pytestmark = pytest.mark.django_db
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "code", "decision", "trace_id"}

BODIES = [
    ("{", 400, "malformed_json"),
    ('{"a":1} trailing', 400, "malformed_json"),
    (b"\xff\xfe", 400, "malformed_json"),
    ("[]", 400, "not_an_object"),
    ('"text"', 400, "not_an_object"),
    ('{"a":1,"a":2}', 400, "duplicate_key"),
    ('{"a":NaN}', 400, "number_not_representable"),
    ('{"a":1e400}', 400, "number_not_representable"),
    ('{"a":9007199254740993}', 400, "number_not_representable"),
    ('{"a":' + "9" * 4300 + "}", 400, "number_not_representable"),
    ('{"a":"\\ud800"}', 400, "invalid_unicode"),
    ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", 400, "too_deep"),
    ('{"a":"' + "x" * 300 * 1024 + '"}', 413, "too_large"),
]


@pytest.mark.parametrize(("body", "status", "code"), BODIES, ids=[f"{c}-{i}" for i, (_, _, c) in enumerate(BODIES)])
def test_an_unreadable_body_is_refused_and_leaves_nothing(world, body, status, code):
    caller = world.caller(world.allowing())
    spans, events = Span.objects.count(), AuditEvent.objects.count()
    began = time.perf_counter()
    answer = caller.post("/tools/create_ticket", body)
    took = time.perf_counter() - began
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) >= PROBLEM_MEMBERS
    assert answer["Content-Type"] == "application/problem+json"
    assert (Span.objects.count(), AuditEvent.objects.count(), Ticket.objects.count()) == (spans, events, 0)
    assert took < 2  # a bound on hanging, not a benchmark


@pytest.mark.parametrize(
    ("tool", "arguments", "path"),
    [
        ("create_ticket", {"title": "abc"}, ""),
        ("create_ticket", {"customer_id": "1", "title": "abc"}, "/customer_id"),
        ("create_ticket", {"customer_id": 1, "title": "ab"}, "/title"),
        ("create_ticket", {"customer_id": 1, "title": "abc", "extra": 1}, ""),
        ("search_customer", {"query": None}, "/query"),
        ("update_customer_status", {"customer_id": 1, "new_status": "x", "confirm": "yes"}, "/confirm"),
    ],
)
def test_arguments_that_do_not_fit_name_each_failing_path(world, tool, arguments, path):
    caller = world.caller(world.allowing())
    answer = caller.call(tool, arguments)
    body = answer.json()
    assert (answer.status_code, body["code"], body["decision"]) == (422, "denied_schema", "denied_schema")
    assert path in [error["path"] for error in body["errors"]]
    assert Ticket.objects.count() == 0


def test_a_problem_never_repeats_a_value(world):
    caller = world.caller(world.allowing())
    answer = caller.call("create_ticket", {"customer_id": "hunter2-secret", "title": "abc"})
    assert answer.status_code == 422
    assert "hunter2" not in answer.content.decode()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("get", "/tools/search_customer", 405, "method_not_allowed"),
        ("get", "/confirm/5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51", 405, "method_not_allowed"),
        ("post", "/mcp/tools", 405, "method_not_allowed"),
        ("get", "/nowhere", 404, "not_found"),
        ("get", "/actions/not-a-uuid", 404, "unknown_action"),
        ("get", "/actions/5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51?wait=31", 400, "invalid_parameter"),
        ("get", "/actions/5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51?wait=-1", 400, "invalid_parameter"),
        ("get", "/actions/5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51?wait=%C2%B2", 400, "invalid_parameter"),
        ("get", "/actions/5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51?wait=" + "0" * 5000, 400, "invalid_parameter"),
        ("get", "/results/none", 404, "not_found"),
        ("get", "/audit/events?type=nothing", 400, "invalid_parameter"),
        ("get", "/audit/events?from=yesterday", 400, "invalid_parameter"),
        ("get", "/audit/events?from=0001-01-01T00:00:00%2B14:00", 400, "invalid_parameter"),
        ("get", "/audit/events?colour=red", 400, "invalid_parameter"),
        ("get", "/audit/events?limit=9999999999999999999999", 400, "invalid_parameter"),
        ("post", "/decisions", 400, "invalid_parameter"),
        ("post", "/confirm/5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51", 400, "invalid_parameter"),
    ],
)
def test_every_door_answers_with_a_problem(world, method, path, status, code):
    caller = world.caller(world.allowing())
    answer = caller.post(path, {}) if method == "post" else caller.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"


def test_another_media_type_is_refused(world):
    caller = world.caller(world.allowing())
    answer = caller.http.post("/tools/search_customer", {"query": "a"}, headers={"X-API-Key": caller.secret})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_tool_that_refuses_says_so_and_changed_nothing(world):
    caller = world.caller(world.allowing())
    answer = caller.call("create_ticket", {"customer_id": 999_999, "title": "Nobody"})
    assert (answer.status_code, answer.json()["code"], answer.json()["decision"]) == (422, "tool_error", "error")
    assert Ticket.objects.count() == 0


def test_a_session_that_is_not_there_is_refused(world):
    caller = world.caller(world.allowing())
    assert caller.call("search_customer", {"query": "a"}).status_code == 200
    answer = caller.call("search_customer", {"query": "a"}, X_Session_Id="s1")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_session")


@pytest.mark.parametrize("name", ["%00", "a%0Ab", "%E2%80%AEtool", "x" * 3000, "\u0430dmin", "..", "A"])
def test_a_name_that_no_tool_can_have_is_an_unknown_tool(world, name):
    caller = world.caller(world.allowing())
    answer = caller.post(f"/tools/{name}", {})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_tool")
    for span in Span.objects.all():
        assert span.tool_name.isprintable()
