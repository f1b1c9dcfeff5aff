from typing import ClassVar

from django.db import models


class SpanExport(models.Model):
    """How far our own spans were sent on to another collector."""

    name = models.CharField(max_length=16, primary_key=True, help_text="otlp")
    recorded_to = models.DateTimeField(help_text="Spans recorded before this were sent.")
    sent = models.PositiveBigIntegerField(default=0)
    refused = models.PositiveBigIntegerField(default=0, help_text="Spans that the collector said it would not take.")
    sent_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True, default="")
    last_failed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions: ClassVar = ("view",)

    def __str__(self) -> str:
        return self.name
