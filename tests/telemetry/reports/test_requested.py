"""Reports that people ask for: made once, by whoever holds the lease, and gone in time."""

import datetime as dt
import io
import json
import threading
from itertools import pairwise
from unittest import mock

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError
from openpyxl import load_workbook

from telemetry.models import AuditEvent, Payload, Report, ReportPart
from telemetry.recorder import Actor
from telemetry.reports import requested
from telemetry.reports.requested import (
    A_SIGN_EACH,
    KEPT_FOR,
    LEASE,
    MAKE_REPORT,
    MOST_AT_ONCE,
    may_fetch,
    read_report,
    request_report,
    run_report,
    sweep_reports,
)
from telemetry.reports.selection import Filters
from telemetry.tasks import drop_payloads, make_report
from tests.telemetry.reports.rows import session, step

pytestmark = pytest.mark.django_db(transaction=True)
READER = Actor("operator", "1", "bob")
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def told():
    """What workers were told."""
    with mock.patch("telemetry.reports.requested.current_app.send_task") as send:
        yield send


@pytest.fixture
def asked(world, told):
    return request_report(world.alice, Filters(), "json", timezone.now())


def content(report):
    return b"".join(read_report(report, READER))


def now_plus(seconds):
    return timezone.now() + dt.timedelta(seconds=seconds)


def test_what_is_asked_for_waits_and_a_worker_is_told_once_it_is_committed(world, told):
    with transaction.atomic():
        report = request_report(world.alice, Filters(agent="billing-agent"), "xlsx", timezone.now())
        told.assert_not_called()
    told.assert_called_once_with(MAKE_REPORT, [str(report.pk)], retry=False)
    assert (report.status, report.requester, report.filters) == ("queued", "alice", {"agent": "billing-agent"})
    assert read_report(report, READER) is None


def test_without_the_permission_nothing_is_asked_for(world):
    with pytest.raises(PermissionDenied):
        request_report(world.charlie, Filters(), "json", timezone.now())
    assert not Report.objects.exists()


def test_a_person_has_so_many_under_way_and_no_more(world, told):
    for _ in range(MOST_AT_ONCE):
        request_report(world.alice, Filters(), "json", timezone.now())
    with pytest.raises(ValidationError):
        request_report(world.alice, Filters(), "json", timezone.now())
    assert request_report(world.bob, Filters(), "json", timezone.now())


def test_a_report_is_asked_for_though_the_broker_is_down(world):
    with mock.patch("telemetry.reports.requested.current_app.send_task", side_effect=OperationalError("down")):
        assert request_report(world.alice, Filters(), "json", timezone.now()).status == "queued"


@pytest.mark.parametrize("format_", ["json", "xlsx"])
def test_it_is_made_kept_encrypted_and_on_record(world, told, format_):
    one = session()
    for number in (1, 2, 3):
        step(one, number)
    session("another", agent="other", agent_id=2)
    report = request_report(world.alice, Filters(agent="billing-agent"), format_, timezone.now())
    assert make_report(str(report.pk)) is True
    report.refresh_from_db()
    assert (report.status, report.total_sessions, report.total_steps, report.done_steps) == ("done", 1, 3, 3)
    raw = content(report)
    assert len(raw) == report.size_bytes
    if format_ == "json":
        assert [len(one["steps"]) for one in json.loads(raw)["mcp_details"]["sessions"]] == [3]
    else:
        assert load_workbook(io.BytesIO(raw))["MCP_Details"].max_row == 4
    assert report.parts.get().payload.expires_at == report.expires_at
    assert raw[:20] not in bytes(report.parts.get().payload.sealed)
    made = AuditEvent.objects.get(type="report.made")
    assert (made.actor_kind, made.actor, made.subject_id) == ("operator", "alice", str(report.pk))
    assert json.loads(made.data) == {
        "format": format_,
        "filters": {"agent": "billing-agent"},
        "sessions": 1,
        "steps": 3,
        "bytes": report.size_bytes,
    }
    read = AuditEvent.objects.get(type="payload.read")
    assert (read.actor, read.subject_kind, read.subject_id) == ("bob", "report", str(report.pk))


def test_run_again_it_is_made_no_second_time(asked):
    step(session())
    assert run_report(asked.pk, timezone.now) is True
    asked.refresh_from_db()
    first = content(asked)
    assert run_report(asked.pk, timezone.now) is False
    asked.refresh_from_db()
    assert (asked.attempts, content(asked)) == (1, first)
    assert AuditEvent.objects.filter(type="report.made").count() == 1


@pytest.mark.race
def test_of_eight_at_once_one_makes_it(asked):
    step(session())
    together = threading.Barrier(8)
    made = []

    def make():
        together.wait()
        made.append(run_report(asked.pk, timezone.now))
        connections.close_all()

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 7 + [True]
    assert ReportPart.objects.count() == Payload.objects.count() == 1
    assert AuditEvent.objects.filter(type="report.made").count() == 1


def test_one_that_was_cut_off_is_taken_over_when_its_lease_ends(asked):
    step(session())
    leased = now_plus(60)
    Report.objects.filter(pk=asked.pk).update(status="running", attempts=1, leased_until=leased)
    assert run_report(asked.pk, timezone.now) is False, "somebody may still be at it"
    assert run_report(asked.pk, lambda: leased + SECOND) is True
    asked.refresh_from_db()
    assert (asked.status, asked.attempts) == ("done", 2)


@pytest.mark.parametrize(
    ("when", "words"),
    [("status = 'running'", "is made by somebody else"), ("done_steps = 1 AND total_steps = 1", "")],
    ids=["before its first sign", "after its last"],
)
def test_who_lost_the_lease_finishes_nothing(asked, caplog, when, words):
    step(session())
    beside = connection.copy()

    def clock():
        """Somebody else has begun anew by the time that this is looked at."""
        with beside.cursor() as cursor:
            cursor.execute(f"UPDATE telemetry_report SET attempts = 2 WHERE {when}")
        return timezone.now()

    try:
        assert run_report(asked.pk, clock) is False
    finally:
        beside.close()
    asked.refresh_from_db()
    assert (asked.status, asked.attempts) == ("running", 2)
    assert words in caplog.text
    assert not ReportPart.objects.exists()
    assert not AuditEvent.objects.filter(type="report.made").exists()


def test_a_file_is_for_who_asked_and_for_those_who_make_reports(asked, world):
    assert [may_fetch(person, asked) for person in (world.alice, world.bob, world.charlie)] == [True, True, False]
    world.alice.groups.clear()
    assert may_fetch(type(world.alice).objects.get(pk=world.alice.pk), asked)


def test_how_far_it_is_can_be_seen_at_most_once_a_second(asked):
    one = session()
    for number in range(1, 41):
        step(one, number)
    beside, seen, moment = connection.copy(), [], [timezone.now()]

    def clock():
        """A quarter of a second passes with each look at it; what others see meanwhile is noted."""
        with beside.cursor() as cursor:
            cursor.execute("SELECT done_steps, total_steps, leased_until FROM telemetry_report")
            seen.append(cursor.fetchone())
        moment[0] += A_SIGN_EACH / 4
        return moment[0]

    try:
        assert run_report(asked.pk, clock) is True
    finally:
        beside.close()
    steps = [done for done, total, _ in seen if total == 40]
    assert steps == sorted(steps)
    changes = sum(before != after for before, after in pairwise(steps))
    assert 9 <= changes <= 11
    assert seen[-1][2] > seen[2][2], "each sign prolongs the lease"


def test_what_can_not_be_made_has_failed_and_says_so(asked, caplog):
    Report.objects.filter(pk=asked.pk).update(filters={"from": "never"})
    assert run_report(asked.pk, timezone.now) is False
    asked.refresh_from_db()
    assert (asked.status, asked.error, asked.leased_until) == ("failed", requested.FAILED, None)
    assert "could not be made" in caplog.text
    assert run_report(asked.pk, timezone.now) is False


def test_a_file_in_several_parts_comes_back_whole_and_is_read_once(asked, monkeypatch):
    step(session())
    monkeypatch.setattr(requested, "PART_BYTES", 100)
    run_report(asked.pk, timezone.now)
    asked.refresh_from_db()
    assert asked.parts.count() == -(-asked.size_bytes // 100)
    assert json.loads(content(asked))["mcp_details"]["summary"]["total_steps"] == 1
    assert AuditEvent.objects.filter(type="payload.read").count() == 1
    asked.parts.get(number=3).delete()
    with pytest.raises(LookupError):
        content(asked)


def test_the_sweep_tells_workers_of_what_waits_for_long(asked, told):
    told.reset_mock()
    assert sweep_reports(now_plus(29)) == 0
    assert sweep_reports(now_plus(31)) == 1
    told.assert_called_once_with(MAKE_REPORT, [str(asked.pk)], retry=False)
    leased = now_plus(60)
    Report.objects.filter(pk=asked.pk).update(status="running", attempts=1, leased_until=leased)
    assert sweep_reports(leased - SECOND) == 0
    assert sweep_reports(leased + SECOND) == 1


def test_what_was_cut_off_three_times_has_failed(asked):
    leased = now_plus(60)
    Report.objects.filter(pk=asked.pk).update(status="running", attempts=3, leased_until=leased)
    assert run_report(asked.pk, lambda: leased + SECOND) is False
    assert sweep_reports(leased + SECOND) == 0
    asked.refresh_from_db()
    assert (asked.status, asked.error) == ("failed", requested.CUT_OFF)


def test_what_expired_is_gone_with_its_bytes(asked, world, told):
    step(session())
    run_report(asked.pk, timezone.now)
    later = request_report(world.alice, Filters(), "json", now_plus(60))
    sweep_reports(timezone.now() + KEPT_FOR + 10 * SECOND)
    assert list(Report.objects.all()) == [later]
    assert not Payload.objects.exists()
    assert LEASE < KEPT_FOR


def test_the_sweep_of_payloads_leaves_a_report_without_its_file(asked):
    step(session())
    run_report(asked.pk, timezone.now)
    past = timezone.now() - SECOND
    Payload.objects.update(created_at=past - SECOND, expires_at=past)
    assert drop_payloads() == 2
    asked.refresh_from_db()
    assert read_report(asked, READER) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "pdf"},
        {"status": "paused"},
        {"status": "done"},
        {"status": "running"},
        {"leased_until": timezone.now()},
        {"done_steps": 1},
        {"expires_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)},
    ],
)
def test_the_database_refuses_what_can_not_be(asked, fields):
    with pytest.raises(IntegrityError):
        Report.objects.filter(pk=asked.pk).update(**fields)
