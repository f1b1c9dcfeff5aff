import datetime as dt
import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from telemetry.models.payload import Payload

MOST_ATTEMPTS = 3


class ReportQuerySet(models.QuerySet["Report"]):
    def of(self, requester_id: int) -> "ReportQuerySet":
        return self.filter(requester_id=requester_id)

    def waiting(self, now: dt.datetime) -> "ReportQuerySet":
        """To be made by whoever comes: nobody makes it, or whoever did has given no sign of life in time."""
        lapsed = Q(status=Report.Status.RUNNING, leased_until__lte=now)
        return self.filter(Q(status=Report.Status.QUEUED) | lapsed)

    def expired(self, now: dt.datetime) -> "ReportQuerySet":
        return self.filter(expires_at__lte=now)


class Report(models.Model):
    """A file of sessions that somebody asked for in admin: how far it is, and the file until it expires.

    The requester's name is that of the day. Only telemetry/reports/requested.py writes it.
    """

    class Format(models.TextChoices):
        XLSX = "xlsx", "Workbook (.xlsx)"
        JSON = "json", "JSON (.json)"

    class Status(models.TextChoices):
        QUEUED = "queued", "Waits"
        RUNNING = "running", "Is being made"
        DONE = "done", "Made"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    format = models.CharField(max_length=4, choices=Format.choices)
    filters = models.JSONField(default=dict, help_text="session, agent, from, to: those that were given.")
    requester_id = models.BigIntegerField()
    requester = models.CharField(max_length=150)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.QUEUED)
    total_sessions = models.PositiveIntegerField(default=0)
    total_steps = models.PositiveIntegerField(default=0)
    done_steps = models.PositiveIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Also the fence of who makes it now.")
    leased_until = models.DateTimeField(null=True, help_text="Who makes it gives a sign of life before.")
    error = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        # telemetry.report_session says who makes and reads them.
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(format__in=["json", "xlsx"]), name="report_format_known"),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running", "done", "failed"]), name="report_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running"], ended_at=None)
                | Q(status__in=["done", "failed"], ended_at__isnull=False),
                name="report_ended_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(status="running", leased_until__isnull=False) | ~Q(status="running") & Q(leased_until=None),
                name="report_leased_while_it_runs",
            ),
            models.CheckConstraint(condition=Q(done_steps__lte=F("total_steps")), name="report_within_its_steps"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="report_expires_later"),
        ]
        indexes: ClassVar = [
            # the list in admin: one's own, and everybody's
            models.Index(fields=["requester_id", "-created_at"], name="report_by_requester"),
            models.Index(fields=["-created_at", "id"], name="report_latest"),
            # the sweep of those to be made
            models.Index(fields=["created_at"], condition=Q(ended_at=None), name="report_not_made"),
            # the sweep of what expired
            models.Index(fields=["expires_at"], name="report_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.format} for {self.requester}, {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_under_way(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)

    @property
    def filename(self) -> str:
        return f"sessions-{self.created_at.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}.{self.format}"


class ReportPart(models.Model):
    """A piece of a report's file, encrypted: the whole of a large one is never in memory."""

    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    payload = models.OneToOneField(Payload, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering: ClassVar = ["report", "number"]
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["report", "number"], name="report_part_numbered_once"),
        ]

    def __str__(self) -> str:
        return f"{self.report_id} part {self.number}"
