"""Sums over spans by minute and by hour, so that no figure of a day reads the spans themselves."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

# By these columns spans are summed up; a figure can be asked for any of them.
DIMENSIONS = ("origin", "kind", "service", "model", "tool_name", "agent", "decision")
# Each is a sum over the spans of one row, and so can be added up over rows.
SUMS = (
    "calls",
    "priced_calls",
    "cost_usd",
    "prompt_tokens",
    "completion_tokens",
    "retries",
    "retried_calls",
    "fallbacks",
    "low_confidence",
    "confidence_gate_blocks",
    "prompt_diff_violations",
    "shadow_calls",
    "shadow_disagreements",
    "deterministic_fallbacks",
    "high_risk_paths",
    "golden_calls",
    "golden_failures",
    "duration_us",
)
# What a reporter says beyond its share of names in a minute is summed up under this one.
THE_REST = "(other)"


class Rollup(models.Model):
    """What the spans that began within [at, at + the table's step) add up to, by DIMENSIONS.

    How long they took is a histogram: `buckets` of telemetry/metrics/histogram.py in their order, and how many spans
    fell in each. Arrays, since PostgreSQL adds up a day of them in a third of the time that JSON takes.
    """

    at = models.DateTimeField()
    origin = models.CharField(max_length=8)
    kind = models.CharField(max_length=16)
    service = models.CharField(max_length=80)
    model = models.CharField(max_length=120, blank=True)
    tool_name = models.CharField(max_length=64, blank=True)
    agent = models.CharField(max_length=80, blank=True)
    decision = models.CharField(max_length=24, blank=True)
    calls = models.BigIntegerField()
    priced_calls = models.BigIntegerField(default=0)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=8, default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    retries = models.BigIntegerField(default=0)
    retried_calls = models.BigIntegerField(default=0)
    fallbacks = models.BigIntegerField(default=0)
    low_confidence = models.BigIntegerField(default=0)
    confidence_gate_blocks = models.BigIntegerField(default=0)
    prompt_diff_violations = models.BigIntegerField(default=0)
    shadow_calls = models.BigIntegerField(default=0)
    shadow_disagreements = models.BigIntegerField(default=0)
    deterministic_fallbacks = models.BigIntegerField(default=0)
    high_risk_paths = models.BigIntegerField(default=0)
    golden_calls = models.BigIntegerField(default=0)
    golden_failures = models.BigIntegerField(default=0)
    duration_us = models.BigIntegerField(default=0)
    longest_us = models.BigIntegerField(default=0)
    first_at = models.DateTimeField(help_text="When the first of these spans began.")
    buckets = ArrayField(models.SmallIntegerField(), default=list)
    bucket_spans = ArrayField(models.IntegerField(), default=list)

    class Meta:
        abstract = True
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.service} {self.tool_name or self.model}".strip()


class MinuteRollup(Rollup):
    """By minute, kept for seven days."""

    class Meta(Rollup.Meta):
        constraints: ClassVar = [
            # a minute is made again from its spans; also the way in, by time
            models.UniqueConstraint(fields=["at", *DIMENSIONS], name="minute_rollup_once"),
        ]


class HourRollup(Rollup):
    """By hour, kept for thirteen months."""

    class Meta(Rollup.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["at", *DIMENSIONS], name="hour_rollup_once"),
        ]


class RollupWatermark(models.Model):
    """Up to where rollups are complete but for spans that come late. One row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    at = models.DateTimeField(help_text="The end of the last minute that was summed up.")

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="rollup_watermark_is_one")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"


class StaleMinute(models.Model):
    """A minute that got a span after it was summed up, and is to be summed up again.

    It may stand here several times: whoever records spans only adds, and so waits for nobody.
    """

    minute = models.DateTimeField()

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M}"
