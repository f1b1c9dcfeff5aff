import hashlib
import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


def span_row_id(trace_id: str, span_id: str) -> uuid.UUID:
    """The same span has the same row id wherever it comes from, so that a second delivery is seen as such."""
    return uuid.UUID(bytes=hashlib.sha256(f"{trace_id}:{span_id}".encode()).digest()[:16])


class SpanQuerySet(models.QuerySet["Span"]):
    def since(self, moment: object) -> "SpanQuerySet":
        return self.filter(start_time__gte=moment)

    def denied(self) -> "SpanQuerySet":
        return self.filter(decision__startswith="denied")

    def tool_calls(self) -> "SpanQuerySet":
        return self.filter(kind=Span.Kind.TOOL_CALL)


class Span(models.Model):
    """One timed call: who, what, how long, and what was decided. The table is partitioned by day of start_time.

    Names of agent, key, rule and policy are those of the day; nothing here points at rows of the apps above.
    """

    class Kind(models.TextChoices):
        TOOL_CALL = "tool_call", "Tool call"
        MODEL_CALL = "model_call", "Model call"
        UPSTREAM = "upstream", "Upstream call"

    id = models.UUIDField(primary_key=True, editable=False)
    trace_id = models.CharField(max_length=32)
    span_id = models.CharField(max_length=16)
    parent_span_id = models.CharField(max_length=16, blank=True, default="")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.TOOL_CALL)
    service = models.CharField(max_length=80, default="observatory")
    door = models.CharField(max_length=16, blank=True, default="")
    model = models.CharField(max_length=120, blank=True, default="")
    tool_name = models.CharField(max_length=64, blank=True, default="")
    start_time = models.DateTimeField()
    end_time = models.DateTimeField()
    prompt_tokens = models.BigIntegerField(null=True)
    completion_tokens = models.BigIntegerField(null=True)
    token_source = models.CharField(max_length=16, blank=True, default="")
    cost_usd = models.DecimalField(max_digits=14, decimal_places=8, null=True)
    retries = models.PositiveIntegerField(default=0)
    fallback_used = models.BooleanField(default=False)
    confidence = models.FloatField(null=True)
    decision = models.CharField(max_length=24, blank=True, default="")
    reason = models.CharField(max_length=40, blank=True, default="")
    stage = models.CharField(max_length=40, blank=True, default="")
    policy = models.CharField(max_length=80, blank=True, default="")
    policy_revision = models.PositiveIntegerField(null=True)
    rule = models.CharField(max_length=120, blank=True, default="")
    agent = models.CharField(max_length=80, blank=True, default="")
    agent_key = models.CharField(max_length=16, blank=True, default="")
    access_subject = models.CharField(
        max_length=300, blank=True, default="", help_text="Of whose access token, where one was sent and not a key."
    )
    session_id = models.CharField(max_length=64, blank=True, default="")
    stages_us = models.JSONField(default=dict, help_text="Microseconds that each stage took.")

    objects = SpanQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-start_time"]
        indexes: ClassVar = [
            # the latest spans; the dashboard's last hour
            models.Index(fields=["-start_time"], name="span_latest"),
            # one trace, for the waterfall and for an answer's trace id
            models.Index(fields=["trace_id"], name="span_trace"),
            # denials of the last hour, without reading what was allowed
            models.Index(fields=["-start_time"], condition=Q(decision__startswith="denied"), name="span_denied"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(end_time__gte=models.F("start_time")), name="span_ends_after_start"),
        ]

    def __str__(self) -> str:
        return f"tools/call {self.tool_name}" if self.kind == self.Kind.TOOL_CALL else f"{self.kind} {self.model}"

    @property
    def duration_ms(self) -> float:
        return (self.end_time - self.start_time).total_seconds() * 1000
