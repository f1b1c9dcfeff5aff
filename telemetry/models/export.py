from typing import ClassVar

from django.db import models


class SpanExport(models.Model):
    """How far our own spans were sent on to another collector, and who is sending now.

    The place is (recorded_to, last_id), the last span that the collector answered for.
    """

    name = models.CharField(max_length=16, primary_key=True, help_text="otlp")
    recorded_to = models.DateTimeField(
        "sent to", help_text="Spans recorded before this were sent; those of the last half minute still wait."
    )
    last_id = models.UUIDField(null=True, editable=False, help_text="Of several spans recorded then, the last sent.")
    sent = models.PositiveBigIntegerField(default=0)
    refused = models.PositiveBigIntegerField(default=0, help_text="Spans that the collector said it would not take.")
    sent_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True, default="")
    last_failed_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True, help_text="Nothing is sent before, as the collector or a failure asked.")
    leased_until = models.DateTimeField(null=True, help_text="A worker is sending, and this long nobody else does.")

    class Meta:
        default_permissions: ClassVar = ("view",)

    def __str__(self) -> str:
        return self.name
