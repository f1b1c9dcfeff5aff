"""Reports that people ask for in admin: the only writer of them. One is made once, by whoever holds its lease.

Who makes it gives a sign of life at least each second that a step is told. A maker that was killed loses its lease, and
another begins anew under the next fence; after three it has failed.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable, Iterator
from itertools import chain
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self

from celery import current_app
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection, transaction
from django.db.models import F
from kombu.exceptions import OperationalError

from telemetry.connections import release_connection
from telemetry.models import Payload, Report, ReportPart
from telemetry.models.report import MOST_ATTEMPTS
from telemetry.recorder import Actor, Subject, open_payload, show_payload, store_payload
from telemetry.reports.making import Making
from telemetry.reports.selection import Filters, Selection
from telemetry.reports.writing import Made, record_made, write_report

log = logging.getLogger(__name__)
MAKE_REPORT = "telemetry.make_report"
MAY_REPORT = "telemetry.report_session"
KEPT_FOR = dt.timedelta(hours=24)
# Longer than the file takes to be packed and stored once its last step is told.
LEASE = dt.timedelta(minutes=10)
A_SIGN_EACH = dt.timedelta(seconds=1)
# A worker that was told is given so long before others are.
TOLD_AGAIN_AFTER = dt.timedelta(seconds=30)
MOST_AT_ONCE = 5
PART_BYTES = 4 * 1024 * 1024
FAILED = "It could not be made; the log of the worker says why."
CUT_OFF = f"It was cut off {MOST_ATTEMPTS} times."

Clock = Callable[[], dt.datetime]


def request_report(user: Any, filters: Filters, format_: str, now: dt.datetime) -> Report:
    """The report is asked for, and a worker hears of it once that commits.

    Raises PermissionDenied; ValidationError where this person has as many under way as one may.
    """
    if not user.has_perm(MAY_REPORT):
        raise PermissionDenied
    with transaction.atomic():
        if Report.objects.of(user.pk).filter(ended_at=None).count() >= MOST_AT_ONCE:
            raise ValidationError(f"You have {MOST_AT_ONCE} reports under way; wait for one of them.")
        report = Report(
            format=format_,
            filters=filters.as_json(),
            requester_id=user.pk,
            requester=user.get_username(),
            created_at=now,
            expires_at=now + KEPT_FOR,
        )
        report.save(force_insert=True)
        transaction.on_commit(lambda: tell_worker(report.pk))
    return report


def tell_worker(report_id: uuid.UUID) -> bool:
    """A worker was told; where the broker is down, the sweep tells one."""
    try:
        current_app.send_task(MAKE_REPORT, [str(report_id)], retry=False)
    except (OperationalError, OSError):
        log.warning("no worker was told to make report %s; the sweep does", report_id)
        return False
    return True


def run_report(report_id: str | uuid.UUID, clock: Clock) -> bool:
    """True: it is made, by this call. Safe to run twice at once, and after somebody was killed at it."""
    report = _claimed(report_id, clock())
    if report is None:
        return False
    try:
        making = Making(Selection(Filters.from_json(report.filters)), report.requester, clock())
        with TemporaryFile() as out, _Signs(report, clock) as signs:
            made = write_report(report.format, making, out, signs.progress)
            return _finished(report, making, made, out, clock())
    except LeaseLost:
        log.warning("report %s is made by somebody else", report.pk)
    except Exception:
        log.exception("report %s could not be made", report.pk)
        _end(report, clock(), status=Report.Status.FAILED, error=FAILED)
    return False


class LeaseLost(Exception):
    """Somebody else makes it by now, or nobody is to."""


def _claimed(report_id: str | uuid.UUID, now: dt.datetime) -> Report | None:
    """The report, leased to this caller; None where there is nothing to be done."""
    with transaction.atomic():
        mine = Report.objects.waiting(now).filter(pk=report_id, attempts__lt=MOST_ATTEMPTS, expires_at__gt=now)
        moved = mine.update(
            status=Report.Status.RUNNING,
            attempts=F("attempts") + 1,
            leased_until=now + LEASE,
            done_steps=0,
            total_steps=0,
        )
        return Report.objects.get(pk=report_id) if moved else None


_SIGN = """
UPDATE telemetry_report SET done_steps = %s, total_steps = %s, leased_until = %s
WHERE id = %s AND status = 'running' AND attempts = %s
"""


class _Signs:
    """Says how far a report is, beside the transaction that reads it: on a connection of its own, past the pool."""

    def __init__(self, report: Report, clock: Clock) -> None:
        self._report, self._clock = report, clock
        self._said_at: dt.datetime | None = None
        self._beside: Any = connection.copy()
        self._beside.settings_dict["OPTIONS"].pop("pool", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._beside.close()

    def progress(self, done: int, total: int) -> None:
        """At most once a second it is said, and the lease is longer. Raises LeaseLost."""
        now = self._clock()
        if self._said_at is not None and now - self._said_at < A_SIGN_EACH and done < total:
            return
        self._said_at = now
        with self._beside.cursor() as cursor:
            cursor.execute(_SIGN, [done, total, now + LEASE, self._report.pk, self._report.attempts])
            if cursor.rowcount == 0:
                raise LeaseLost


def _finished(report: Report, making: Making, made: Made, out: IO[bytes], now: dt.datetime) -> bool:
    """The file is stored and the report is done, in one transaction with its event."""
    expires_at = now + KEPT_FOR
    with transaction.atomic():
        counts = {"total_sessions": made.sessions, "total_steps": made.steps, "done_steps": made.steps}
        kept = {"size_bytes": made.size_bytes, "expires_at": expires_at}
        if not _end(report, now, status=Report.Status.DONE, **counts, **kept):
            return False
        out.seek(0)
        for number, piece in enumerate(iter(lambda: out.read(PART_BYTES), b"")):
            payload = store_payload(Payload.Purpose.REPORT, piece, expires_at, now)
            ReportPart.objects.create(report=report, number=number, payload=payload)
        actor = Actor("operator", str(report.requester_id), report.requester)
        record_made(actor, report.format, making, made, str(report.pk))
    return True


def _end(report: Report, now: dt.datetime, **fields: Any) -> bool:
    """It has ended, unless somebody else makes it by now."""
    mine = Report.objects.filter(pk=report.pk, status=Report.Status.RUNNING, attempts=report.attempts)
    return bool(mine.update(leased_until=None, ended_at=now, **fields))


def may_fetch(user: Any, report: Report) -> bool:
    return bool(user.pk == report.requester_id or user.has_perm(MAY_REPORT))


def read_report(report: Report, reader: Actor) -> Iterator[bytes] | None:
    """The file's pieces in order, and that it is read is on record; None where there is none, or none any more."""
    first = _part(report, 0)
    if first is None:
        return None
    shown = show_payload(first.payload, reader, Subject("report", str(report.pk), report.filename))
    return chain([shown], _further(report, len(shown)))


def _further(report: Report, read: int) -> Iterator[bytes]:
    number = 1
    while read < report.size_bytes:
        part = _part(report, number)
        if part is None:
            raise LookupError(f"part {number} of report {report.pk} is gone")
        piece = open_payload(part.payload)
        release_connection()
        yield piece
        read, number = read + len(piece), number + 1


def _part(report: Report, number: int) -> ReportPart | None:
    return ReportPart.objects.select_related("payload").filter(report=report, number=number).first()


def sweep_reports(now: dt.datetime) -> int:
    """Workers were told of reports that wait; what was cut off too often has failed; what expired is gone.

    How many workers were told. Safe to run twice at once.
    """
    waiting = Report.objects.waiting(now)
    waiting.filter(attempts__gte=MOST_ATTEMPTS).update(
        status=Report.Status.FAILED, leased_until=None, ended_at=now, error=CUT_OFF
    )
    _drop_expired(now)
    due = waiting.filter(created_at__lte=now - TOLD_AGAIN_AFTER).order_by("created_at")
    return sum(tell_worker(report_id) for report_id in due.values_list("pk", flat=True)[:100])


def _drop_expired(now: dt.datetime, limit: int = 100) -> None:
    for report in Report.objects.expired(now)[:limit]:
        with transaction.atomic():
            # Their bytes need not be read to be deleted.
            Payload.objects.filter(pk__in=list(report.parts.values_list("payload_id", flat=True))).only("pk").delete()
            report.delete()
