import json
from typing import Any, ClassVar

from django.db import models
from django.db.models import Func
from django.utils import timezone

from telemetry.append_only import AppendOnlyModel, AppendOnlyQuerySet


class CurrentTransactionId(Func):
    """The 64-bit id of the transaction that writes the row: seals need it, because row ids commit out of order."""

    template = "(pg_current_xact_id()::text::bigint)"
    output_field = models.BigIntegerField()


class AuditEventQuerySet(AppendOnlyQuerySet):
    def about(self, kind: str, subject_id: str) -> "AuditEventQuerySet":
        return self.filter(subject_kind=kind, subject_id=subject_id)


class AuditEvent(AppendOnlyModel):
    """One fact, written in the transaction of what it records and never changed.

    `data` is canonical JSON text (RFC 8785), masked; names are those of the day.
    """

    class Actor(models.TextChoices):
        OPERATOR = "operator", "Operator"
        AGENT = "agent", "Agent"
        SYSTEM = "system", "System"

    transaction_id = models.BigIntegerField(db_default=CurrentTransactionId(), editable=False)
    occurred_at = models.DateTimeField(default=timezone.now)
    type = models.CharField(max_length=48)
    actor_kind = models.CharField(max_length=8, choices=Actor.choices)
    actor_id = models.CharField(max_length=64, blank=True, default="")
    actor = models.CharField(max_length=150, blank=True, default="")
    subject_kind = models.CharField(max_length=32, blank=True, default="")
    subject_id = models.CharField(max_length=64, blank=True, default="")
    subject = models.CharField(max_length=150, blank=True, default="")
    decision = models.CharField(max_length=24, blank=True, default="")
    reason = models.CharField(max_length=40, blank=True, default="")
    policy = models.CharField(max_length=80, blank=True, default="")
    policy_revision = models.PositiveIntegerField(null=True)
    rule = models.CharField(max_length=120, blank=True, default="")
    trace_id = models.CharField(max_length=32, blank=True, default="")
    data = models.TextField(default="{}")

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ("view",)
        indexes: ClassVar = [
            # the trail by time; GET /audit/events with from and to
            models.Index(fields=["occurred_at"], name="audit_time"),
            # what happened to one thing
            models.Index(fields=["subject_kind", "subject_id", "id"], name="audit_subject"),
            # what one call did
            models.Index(fields=["trace_id"], condition=~models.Q(trace_id=""), name="audit_trace"),
            # what one actor did
            models.Index(fields=["actor_kind", "actor_id", "id"], name="audit_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}".strip()

    @property
    def facts(self) -> Any:
        return json.loads(self.data)

    def as_line(self) -> dict[str, Any]:
        """The event as the trail, the API and an auditor see it. Shape: one flat object, `data` as an object."""
        return {
            "id": self.pk,
            "occurred_at": self.occurred_at.isoformat(),
            "type": self.type,
            "actor": {"kind": self.actor_kind, "id": self.actor_id, "name": self.actor},
            "subject": {"kind": self.subject_kind, "id": self.subject_id, "name": self.subject},
            "decision": self.decision,
            "reason": self.reason,
            "policy": self.policy,
            "policy_revision": self.policy_revision,
            "rule": self.rule,
            "trace_id": self.trace_id,
            "data": self.facts,
        }
