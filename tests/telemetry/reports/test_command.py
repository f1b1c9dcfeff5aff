"""`manage.py report`: a file, whole or not there, and one line that says what is in it."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from openpyxl import load_workbook

from telemetry.models import AuditEvent
from telemetry.reports.writing import write_report
from tests.telemetry.reports.rows import MINUTE, MOMENT, session, step

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows():
    first = session("first")
    step(first, 1)
    step(first, 2)
    step(session("second", agent="other", agent_id=2, created_at=MOMENT + MINUTE), 1)


def report(out, format_="json", **filters):
    said, progress = io.StringIO(), io.StringIO()
    call_command("report", format=format_, out=out, stdout=said, stderr=progress, **filters)
    return said.getvalue(), progress.getvalue()


def test_a_file_is_written_that_only_its_owner_can_read(rows, tmp_path):
    out = tmp_path / "sessions.json"
    said, progress = report(out)
    assert said.startswith("2 sessions, 3 steps, ")
    assert said.endswith(f": {out}\n")
    assert progress == ""
    assert json.loads(out.read_bytes())["mcp_details"]["summary"]["total_steps"] == 3
    assert out.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [out]


def test_a_workbook_is_written(rows, tmp_path):
    report(tmp_path / "sessions.xlsx", "xlsx")
    assert load_workbook(tmp_path / "sessions.xlsx")["MCP_Details"].max_row == 4


@pytest.mark.parametrize(
    ("filters", "sessions", "steps"),
    [
        ({"session": "first"}, 1, 2),
        ({"agent": "other"}, 1, 1),
        ({"from": "2026-11-21T14:01:00Z"}, 1, 1),
        ({"to": "2026-11-21T14:01:00Z"}, 1, 2),
        ({"agent": "nobody"}, 0, 0),
    ],
)
def test_filters_choose_and_are_on_record(rows, tmp_path, filters, sessions, steps):
    said, _ = report(tmp_path / "sessions.json", **filters)
    assert said.startswith(f"{sessions} sessions, {steps} steps, ")
    event = AuditEvent.objects.get(type="report.made")
    assert (event.actor_kind, event.actor) == ("system", "manage.py report")
    assert json.loads(event.data)["filters"] == filters


def test_it_says_how_far_it_is_where_it_takes_long(rows, tmp_path, monkeypatch):
    moments = iter(range(100))
    monkeypatch.setattr("telemetry.management.commands.report.time.monotonic", lambda: next(moments))
    _, progress = report(tmp_path / "sessions.json")
    assert progress.splitlines()[-1] == "3 of 3 steps"


@pytest.mark.parametrize("filters", [{"from": "yesterday"}, {"session": "a" * 151}])
def test_a_bad_filter_is_refused(tmp_path, filters):
    with pytest.raises(CommandError):
        report(tmp_path / "sessions.json", **filters)
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_written_is_said(rows, tmp_path):
    with pytest.raises(CommandError, match="can't be written"):
        report(tmp_path / "no" / "such" / "folder" / "sessions.json")


def test_what_fails_leaves_the_older_file_as_it_was(rows, tmp_path, monkeypatch):
    out = tmp_path / "sessions.json"
    out.write_text("older")

    def half(format_, making, file, progress):
        write_report(format_, making, file, progress)
        raise MemoryError

    monkeypatch.setattr("telemetry.management.commands.report.write_report", half)
    with pytest.raises(MemoryError):
        report(out)
    assert out.read_text() == "older"
    assert list(tmp_path.iterdir()) == [out]
    assert not AuditEvent.objects.filter(type="report.made").exists()
