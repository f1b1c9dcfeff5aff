from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


class AlertChannel(models.Model):
    """A way to tell people or machines of alerts."""

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        SLACK = "slack", "Slack"
        WEBHOOK = "webhook", "Webhook (Standard Webhooks)"
        PAGERDUTY = "pagerduty", "PagerDuty (Events v2)"

    name = models.CharField(max_length=60, unique=True, help_text="e.g. on call")
    kind = models.CharField(max_length=9, choices=Kind.choices)
    recipients = models.TextField(
        blank=True, default="", help_text="For e-mail: addresses, one a line, e.g. oncall@example.com."
    )
    url = models.CharField(
        "URL",
        max_length=500,
        blank=True,
        default="",
        help_text="For Slack the incoming webhook's address, which is a secret itself and is stored encrypted; for a "
        "webhook the receiver's, e.g. https://alerts.example.com/hook. PagerDuty has a fixed one.",
    )
    sealed_secret = models.BinaryField(null=True, editable=False)
    sealed_previous = models.BinaryField(null=True, editable=False)
    previous_until = models.DateTimeField(
        null=True, editable=False, help_text="Until then a webhook is signed with the secret before, too."
    )
    enabled = models.BooleanField(default=True, help_text="Off: nothing is sent through it.")
    not_before = models.DateTimeField(
        null=True, editable=False, help_text="A worker sends through it until then, or it is left in peace until then."
    )
    failures = models.PositiveIntegerField(
        default=0, db_default=0, editable=False, help_text="In a row, since something last arrived."
    )
    last_sent_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, default="", editable=False)
    last_failed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        permissions: ClassVar = [("test_alertchannel", "Can send a test through an alert channel")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=["email", "slack", "webhook", "pagerduty"]), name="alert_channel_kind_known"
            )
        ]

    def __str__(self) -> str:
        return self.name
