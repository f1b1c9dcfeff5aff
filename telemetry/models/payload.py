import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone


class PayloadQuerySet(models.QuerySet["Payload"]):
    def expired(self, now: object) -> "PayloadQuerySet":
        return self.filter(expires_at__lte=now)


class Payload(models.Model):
    """Full bytes, encrypted and expiring: arguments that wait, results to replay. The only place that holds them."""

    class Purpose(models.TextChoices):
        ARGUMENTS = "arguments", "Arguments"
        RESULT = "result", "Result"
        OVERFLOW = "overflow", "Rest of a result"
        EVIDENCE = "evidence", "Prompt and candidate outputs"
        REPORT = "report", "Part of a report"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    sealed = models.BinaryField()
    size_bytes = models.PositiveIntegerField(help_text="Size before encryption.")
    holder = models.CharField(
        max_length=80, blank=True, default="", help_text="The agent that may fetch it by its handle."
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    objects = PayloadQuerySet.as_manager()

    class Meta:
        default_permissions: ClassVar = ("view",)
        indexes: ClassVar = [
            # the sweep that deletes what expired
            models.Index(fields=["expires_at"], name="payload_expiry"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(purpose__in=["arguments", "result", "overflow", "evidence", "report"]),
                name="payload_purpose_known",
            ),
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")), name="payload_expires_later"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.id}"
