from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


class SigningKey(models.Model):
    """One key of the ring that signs commit tokens. The key itself is derived when it is used and stored nowhere."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Signs and verifies"
        VERIFY_ONLY = "verify_only", "Verifies only"
        REVOKED = "revoked", "Revoked"

    kid = models.CharField("key id", max_length=8, unique=True)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.ACTIVE)
    created_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_because = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-pk"]
        default_permissions: ClassVar = ("view",)
        permissions: ClassVar = [("rotate_signingkey", "Can rotate and revoke signing keys")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["status"], condition=Q(status="active"), name="one_signing_key_is_active"),
            models.CheckConstraint(
                condition=Q(status__in=["active", "verify_only", "revoked"]), name="signing_key_status_known"
            ),
            models.CheckConstraint(condition=Q(kid__regex=r"^[0-9a-f]{8}$"), name="signing_key_id_plain"),
            models.CheckConstraint(
                condition=~Q(status="revoked") | Q(revoked_at__isnull=False), name="signing_key_revoked_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return self.kid
