from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from telemetry.models import Payload
from tools.models.agent import Agent

if TYPE_CHECKING:
    import datetime as dt


class IdempotencyRecordQuerySet(models.QuerySet["IdempotencyRecord"]):
    def swept(self, now: "dt.datetime") -> "IdempotencyRecordQuerySet":
        return self.filter(expires_at__lte=now).exclude(status=IdempotencyRecord.Status.HELD)


class IdempotencyRecord(models.Model):
    """The agent's name for one intention, and what became of it. Key rotation changes nothing: it is the agent's.

    Source: draft-ietf-httpapi-idempotency-key-header-07.
    """

    class Status(models.TextChoices):
        RUNNING = "running", "Running"
        HELD = "held", "Waits for a decision"
        DONE = "done", "Done"
        UNKNOWN = "unknown", "Outcome unknown"

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+")
    tool_name = models.CharField(max_length=64, help_text="With the ending _propose for a proposal.")
    key = models.CharField(max_length=255)
    args_digest = models.CharField(max_length=64)
    status = models.CharField(max_length=8, choices=Status.choices)
    fence = models.PositiveIntegerField(default=1)
    lease_until = models.DateTimeField(help_text="A run that has not ended by then was cut off.")
    reason = models.CharField(max_length=40, blank=True, default="")
    result = models.ForeignKey(Payload, on_delete=models.SET_NULL, null=True, related_name="+")
    action_id = models.UUIDField(null=True, help_text="The pending action that a held call waits for.")
    trace_id = models.CharField(max_length=32, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    objects = IdempotencyRecordQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["agent", "tool_name", "key"], name="idempotency_key_once"),
            models.CheckConstraint(
                condition=Q(status__in=["running", "held", "done", "unknown"]), name="idempotency_status_known"
            ),
            models.CheckConstraint(
                condition=~Q(status="held") | Q(action_id__isnull=False), name="idempotency_held_by_action"
            ),
        ]
        indexes: ClassVar = [
            # the sweep of expired records
            models.Index(fields=["expires_at"], name="idempotency_expiry"),
            # the record that follows an action
            models.Index(fields=["action_id"], condition=Q(action_id__isnull=False), name="idempotency_action"),
        ]

    def __str__(self) -> str:
        return f"{self.tool_name} {self.key}"
