import datetime as dt
import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from telemetry.models.alert import AlertInstance
from telemetry.models.channel import AlertChannel


class AlertNotificationQuerySet(models.QuerySet["AlertNotification"]):
    def due(self, now: dt.datetime) -> "AlertNotificationQuerySet":
        """To be sent now, and no earlier message of the same alert to the same channel still waits to be."""
        earlier = AlertNotification.objects.waiting().filter(
            instance=OuterRef("instance"), channel=OuterRef("channel"), version__lt=OuterRef("version")
        )
        return self.filter(~Exists(earlier), next_attempt_at__lte=now)

    def waiting(self) -> "AlertNotificationQuerySet":
        """Not over: it is still to be sent, now or later."""
        return self.filter(next_attempt_at__isnull=False)


class AlertNotification(models.Model):
    """One message of one alert to one channel: queued with the change that it tells of, sent by a worker.

    Without a next attempt it is over: sent, silenced, or given up with its last error.
    """

    class Kind(models.TextChoices):
        FIRING = "firing", "Fires"
        REPEAT = "repeat", "Still fires"
        RESOLVED = "resolved", "Resolved"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    instance = models.ForeignKey(AlertInstance, on_delete=models.PROTECT, related_name="notifications")
    channel = models.ForeignKey(AlertChannel, on_delete=models.PROTECT, related_name="notifications")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    episode = models.UUIDField()
    version = models.PositiveBigIntegerField(
        db_default=0, help_text="The alert's, which the change made; of two the lower is sent first."
    )
    message = models.JSONField(help_text="Labels and numbers only.")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(
        null=True, help_text="Also the end of the lease of the worker that sends it now."
    )
    give_up_at = models.DateTimeField(db_default=Now(), help_text="What has not arrived by then is not tried again.")
    sent_at = models.DateTimeField(null=True)
    silenced_by = models.ForeignKey(
        "telemetry.AlertSilence", null=True, blank=True, on_delete=models.PROTECT, related_name="silenced"
    )
    last_error = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    objects = AlertNotificationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            # also the way to an alert's messages, and to an earlier one that still waits
            models.UniqueConstraint(fields=["instance", "channel", "version"], name="alert_change_told_once"),
            models.UniqueConstraint(
                fields=["instance", "channel", "episode", "kind"],
                condition=~Q(kind="repeat"),
                name="alert_episode_told_once",
            ),
            models.CheckConstraint(condition=Q(sent_at=None) | Q(next_attempt_at=None), name="alert_sent_is_over"),
        ]
        indexes: ClassVar = [
            # the sender: what is due, the oldest first
            models.Index(fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="alert_due"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.instance_id} to {self.channel_id}"
