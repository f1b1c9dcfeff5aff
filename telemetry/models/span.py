import datetime as dt
import hashlib
import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# What this system calls itself on its own spans; nobody who reports spans may use the name.
OWN_SERVICE = "observatory"


def span_row_id(trace_id: str, span_id: str, reporter: str = "") -> uuid.UUID:
    """One reporter's span has one row id, so that a second delivery is seen as such.

    Our own spans have no reporter: what somebody reports can't stand in their way, nor in another reporter's.
    """
    name = f"{reporter}:{trace_id}:{span_id}" if reporter else f"{trace_id}:{span_id}"
    return uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16])


def reported_row_id(reporter: str, trace_id: str, span_id: str, start_time: dt.datetime) -> uuid.UUID:
    """As above, with when it began: that is part of the database's key, so one id is one row whatever is reported."""
    return span_row_id(trace_id, f"{span_id}:{start_time.isoformat()}", reporter)


class SpanQuerySet(models.QuerySet["Span"]):
    def since(self, moment: object) -> "SpanQuerySet":
        return self.filter(start_time__gte=moment)

    def denied(self) -> "SpanQuerySet":
        return self.filter(decision__startswith="denied")

    def tool_calls(self) -> "SpanQuerySet":
        """Calls that came in by the one door; what others report of their own tools is not among them."""
        return self.filter(kind=Span.Kind.TOOL_CALL, origin=Span.Origin.PIPELINE)


class Span(models.Model):
    """One timed call: who, what, how long, and what was decided. The table is partitioned by day of start_time.

    Names of agent, key, rule and policy are those of the day; nothing here points at rows of the apps above. Of a
    reported span `agent` and `agent_key` are who reported it, and `decision` is only whether it went well.
    """

    class Kind(models.TextChoices):
        TOOL_CALL = "tool_call", "Tool call"
        MODEL_CALL = "model_call", "Model call"
        UPSTREAM = "upstream", "Upstream call"
        OTHER = "other", "Other work"

    class Origin(models.TextChoices):
        PIPELINE = "pipeline", "Seen here"
        SDK = "sdk", "Reported by the SDK"
        OTLP = "otlp", "Reported by OpenTelemetry"

    id = models.UUIDField(primary_key=True, editable=False)
    trace_id = models.CharField(max_length=32)
    span_id = models.CharField(max_length=16)
    parent_span_id = models.CharField(max_length=16, blank=True, default="")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.TOOL_CALL)
    origin = models.CharField(max_length=8, choices=Origin.choices, default=Origin.PIPELINE, db_default="pipeline")
    name = models.CharField(
        max_length=120, blank=True, default="", db_default="", help_text="As its reporter named it."
    )
    service = models.CharField(max_length=80, default=OWN_SERVICE)
    door = models.CharField(max_length=16, blank=True, default="")
    provider = models.CharField(max_length=40, blank=True, default="", db_default="")
    model = models.CharField(max_length=120, blank=True, default="")
    tool_name = models.CharField(max_length=64, blank=True, default="")
    start_time = models.DateTimeField()
    end_time = models.DateTimeField()
    prompt_tokens = models.BigIntegerField(null=True)
    completion_tokens = models.BigIntegerField(null=True)
    token_source = models.CharField(max_length=16, blank=True, default="")
    cost_usd = models.DecimalField(max_digits=14, decimal_places=8, null=True)
    cost_source = models.CharField(
        max_length=16, blank=True, default="", db_default="", help_text="reported, override or table."
    )
    retries = models.PositiveIntegerField(default=0)
    fallback_used = models.BooleanField(default=False)
    confidence = models.FloatField(null=True, help_text="0 to 1, as the model or its caller rates the answer.")
    confidence_gate_blocked = models.BooleanField(
        null=True, help_text="Whether the caller's gate stopped an answer of too low confidence."
    )
    prompt_diff_score = models.FloatField(null=True, help_text="0 to 1: how far the prompt is from its baseline.")
    shadow_agreement = models.BooleanField(null=True, help_text="Whether a second model agreed; empty without one.")
    shadow_disagreement_score = models.FloatField(null=True, help_text="0 to 1; empty without a second model.")
    deterministic_fallback = models.BooleanField(default=False, db_default=False)
    high_risk_path = models.BooleanField(default=False, db_default=False)
    golden_passed = models.BooleanField(
        null=True, help_text="Whether a golden financial scenario passed; empty where the call was none."
    )
    error_type = models.CharField(max_length=80, blank=True, default="", db_default="")
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
    attributes = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text="What else its reporter said, of a fixed list of names, masked; never content.",
    )
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = SpanQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-start_time"]
        indexes: ClassVar = [
            # the latest spans; the dashboard's last hour
            models.Index(fields=["-start_time"], name="span_latest"),
            # one trace, for the waterfall and for an answer's trace id
            models.Index(fields=["trace_id"], name="span_trace"),
            # one tool's or one agent's spans in the list: the latest are found however rare they are
            models.Index(fields=["tool_name", "-start_time"], name="span_tool"),
            models.Index(fields=["agent", "-start_time"], name="span_agent"),
            # denials of the last hour, without reading what was allowed
            models.Index(fields=["-start_time"], condition=Q(decision__startswith="denied"), name="span_denied"),
            # our own spans in the order in which they are sent on to a collector
            models.Index(fields=["recorded_at", "id"], condition=Q(origin="pipeline"), name="span_export"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(end_time__gte=models.F("start_time")), name="span_ends_after_start"),
        ]

    def __str__(self) -> str:
        what = self.tool_name or self.model or self.name
        return f"tools/call {what}" if self.kind == self.Kind.TOOL_CALL else f"{self.get_kind_display()} {what}".strip()

    @property
    def duration_ms(self) -> float:
        return (self.end_time - self.start_time).total_seconds() * 1000
