"""Reports at their doors: whose sessions, which filters, what is on record."""

import io
import json

import pytest
from openpyxl import load_workbook

from telemetry.models import AuditEvent, Session
from tests.world import SEED_TOOLS
from tools.scopes import Scope

pytestmark = pytest.mark.django_db(transaction=True)
JSON, XLSX = "/reports/sessions.json", "/reports/sessions.xlsx"
CANARY = "ghp_Zq7Canary9abcDEF0123456789xyzABC"


@pytest.fixture
def policy(world):
    return world.allowing(*SEED_TOOLS)


@pytest.fixture
def caller(world, policy):
    """An agent whose owner is no operator."""
    return world.caller(policy, owner=world.charlie)


@pytest.fixture
def other(world, policy):
    return world.caller(policy, name="other-agent", owner=world.charlie)


@pytest.fixture
def overseer(world, policy):
    """An agent whose owner may make reports in admin."""
    return world.caller(policy, name="overseer", owner=world.alice)


def ran(caller, session_id, *texts):
    """A session with a step for each text, and one that calls a tool."""
    assert caller.post("/sessions", {"session_id": session_id, "model": "gpt-4o"}).status_code == 201
    for text in texts:
        caller.post(f"/sessions/{session_id}/steps", {"role": "user", "input_text": text})
    call = {"role": "assistant", "tool_name": "search_customer", "tool_args": {"query": "acme"}}
    assert caller.post(f"/sessions/{session_id}/steps", call).status_code == 200


def told(answer):
    assert answer.status_code == 200, answer.content
    return json.loads(b"".join(answer.streaming_content))["mcp_details"]


def names(caller, query=""):
    return [one["session_id"] for one in told(caller.get(JSON + query))["sessions"]]


def test_a_run_is_told_in_both_formats(caller):
    ran(caller, "demo_session", "Is ACME active?")
    caller.post("/sessions/demo_session/close", {})
    found = told(caller.get(JSON))
    assert found["summary"] == {
        "total_sessions": 1,
        "total_steps": 2,
        "unfinished_steps": 0,
        "tools_used": ["search_customer"],
        "decisions": {"ok": 2},
    }
    (one,) = found["sessions"]
    at_the_door = caller.get("/sessions/demo_session").json()
    assert one["steps"] == at_the_door["steps"]
    assert (one["status"], one["rules_hash"]) == ("closed", at_the_door["rules_hash"])
    assert one["total_tokens_out"] == at_the_door["total_tokens_out"]
    answer = caller.get(XLSX)
    assert answer["Content-Type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    book = load_workbook(io.BytesIO(b"".join(answer.streaming_content)))
    rows = list(book["MCP_Details"].iter_rows(values_only=True))
    assert [row[:6] for row in rows[1:]] == [
        ("demo_session", "step_1", "user", "user_to_llm", None, "ok"),
        ("demo_session", "step_2", "assistant", "llm_to_tool", "search_customer", "ok"),
    ]


@pytest.mark.parametrize(("path", "name"), [(JSON, "sessions.json"), (XLSX, "sessions.xlsx")])
def test_the_answer_is_a_file_that_nobody_keeps(caller, path, name):
    answer = caller.get(path)
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Cache-Control"] == "no-store"
    assert int(answer["Content-Length"]) == len(b"".join(answer.streaming_content))


def test_an_agent_reads_its_own_sessions_and_anothers_is_as_if_it_were_not_there(caller, other):
    ran(caller, "mine")
    ran(other, "theirs")
    assert names(caller) == ["mine"]
    assert names(other) == ["theirs"]
    for query in ("?session=theirs", "?agent=other-agent", "?session=nothing", "?agent=nobody"):
        assert told(caller.get(JSON + query)) == told(caller.get(f"{JSON}?session=no_such")), query
        book = load_workbook(io.BytesIO(b"".join(caller.get(XLSX + query).streaming_content)))
        assert book["MCP_Details"].max_row == 1


def test_a_key_whose_owner_may_make_reports_reads_all(caller, other, overseer, world):
    ran(caller, "mine")
    ran(other, "theirs")
    assert names(overseer) == ["mine", "theirs"]
    assert names(overseer, "?agent=other-agent") == ["theirs"]
    world.alice.groups.clear()
    assert names(overseer) == []
    world.charlie.is_staff, world.charlie.is_superuser = False, True
    world.charlie.save()
    assert names(caller) == ["mine"]


def test_a_key_needs_the_scope(world, policy):
    without = [scope for scope in Scope.values if scope != Scope.REPORTS_READ]
    caller = world.caller(policy, scopes=without)
    for path in (JSON, XLSX):
        answer = caller.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    caller.secret = "wrong"
    assert caller.get(JSON).status_code == 401


def test_filters_choose(caller):
    for name in ("first", "second", "third"):
        ran(caller, name)
    moment = Session.objects.get(session_id="second").created_at.isoformat().replace("+00:00", "Z")
    assert names(caller, "?session=second") == ["second"]
    assert names(caller, f"?from={moment}") == ["second", "third"]
    assert names(caller, f"?to={moment}") == ["first"]
    assert names(caller, "?agent=billing-agent&session=third") == ["third"]


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-11-21",
        "from=2026-11-21T14:00:00",
        "to=never",
        "to=99999-01-01T00:00:00Z",
        "from=2026-11-21T14:00:00Z&to=2026-11-21T14:00:00Z",
        "session=",
        "agent=%00",
        "agents=billing-agent",
        f"session={'a' * 151}",
    ],
)
@pytest.mark.parametrize("path", [JSON, XLSX])
def test_a_bad_filter_is_refused(caller, path, query):
    answer = caller.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert not AuditEvent.objects.filter(type="report.made").exists()


def test_more_steps_than_a_door_tells_are_refused(caller, monkeypatch):
    ran(caller, "mine", "one", "two")
    monkeypatch.setattr("observatory.doors.reports.MOST_STEPS", 3)
    assert told(caller.get(JSON))["summary"]["total_steps"] == 3
    ran(caller, "more")
    answer = caller.get(XLSX)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_report_is_on_record_with_counts_and_without_what_it_tells(caller):
    ran(caller, "mine", "Is ACME active?")
    size = len(b"".join(caller.get(f"{JSON}?session=mine").streaming_content))
    event = AuditEvent.objects.get(type="report.made")
    assert (event.actor_kind, event.actor) == ("agent", "billing-agent")
    assert json.loads(event.data) == {
        "format": "json",
        "filters": {"session": "mine"},
        "sessions": 1,
        "steps": 2,
        "bytes": size,
    }


def test_a_canary_in_steps_is_in_no_report(caller, overseer):
    words = f"use {CANARY} or jane.canary@example.com or call +1 212 555 2368, SSN 536-22-8726"
    ran(caller, "mine", words)
    call = {"role": "assistant", "input_text": words, "tool_name": "search_customer", "tool_args": {"query": words}}
    caller.post("/sessions/mine/steps", call)
    caller.post("/sessions/mine/steps", call | {"tool_name": CANARY})
    caller.post("/sessions/mine/steps", call | {"tool_args": {words: words, "token": CANARY}})
    assert told(overseer.get(JSON))["summary"]["total_steps"] == 5
    raw = b"".join(overseer.get(JSON).streaming_content).decode()
    book = load_workbook(io.BytesIO(b"".join(overseer.get(XLSX).streaming_content)))
    cells = "\n".join(str(cell) for sheet in book.worksheets for row in sheet.values for cell in row)
    for word in (CANARY, "Zq7Canary", "jane.canary", "555 2368", "22-8726"):
        assert word not in raw, word
        assert word not in cells, word
    assert "[masked" in raw
    assert "[masked" in cells
