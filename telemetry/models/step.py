from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from telemetry.models.session import Session


class StepQuerySet(models.QuerySet["Step"]):
    def unfinished(self) -> "StepQuerySet":
        return self.filter(ended_at=None)

    def ended(self) -> "StepQuerySet":
        return self.filter(ended_at__isnull=False)


class Step(models.Model):
    """One numbered unit of a session: what was said or called, what was decided and why, what it took.

    Texts and arguments are masked and cut. A step without `ended_at` runs, or was cut off and waits for the sweep.
    """

    class Role(models.TextChoices):
        USER = "user", "User"
        ASSISTANT = "assistant", "Assistant"
        TOOL = "tool", "Tool"

    class Channel(models.TextChoices):
        USER_TO_LLM = "user_to_llm", "User to model"
        LLM_TO_TOOL = "llm_to_tool", "Model to tool"
        TOOL_TO_LLM = "tool_to_llm", "Tool to model"

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="steps")
    number = models.PositiveIntegerField()
    role = models.CharField(max_length=9, choices=Role.choices)
    channel = models.CharField(max_length=11, choices=Channel.choices)
    input_text = models.TextField(blank=True, default="", help_text="Masked, and cut to 200 characters.")
    selected_tool = models.CharField(max_length=64, blank=True, default="")
    tool_args = models.JSONField(null=True, help_text="Masked.")
    output_text = models.TextField(blank=True, default="", help_text="Masked, and cut to 200 characters.")
    error = models.TextField(blank=True, default="", help_text="Why there is no output, masked.")
    decision = models.CharField(max_length=24, blank=True, default="")
    reason = models.CharField(max_length=40, blank=True, default="")
    rule = models.CharField(max_length=120, blank=True, default="")
    policy = models.CharField(max_length=80, blank=True, default="")
    policy_revision = models.PositiveIntegerField(null=True)
    dry_run = models.BooleanField(default=False)
    latency_us = models.BigIntegerField(default=0)
    tokens_in = models.BigIntegerField(default=0)
    tokens_out = models.BigIntegerField(default=0)
    token_source = models.CharField(max_length=10, blank=True, default="", help_text="reported or estimate.")
    cost_est = models.DecimalField(
        max_digits=14, decimal_places=8, null=True, help_text="USD; empty where the model has no known price."
    )
    guardrail_signals = models.JSONField(default=list)
    reused_fingerprints = ArrayField(models.CharField(max_length=16), default=list)
    violations = models.PositiveIntegerField(default=0, help_text="Signals above their threshold.")
    masked_paths = models.JSONField(default=list, help_text="What was masked, as JSON Pointers into the step.")
    trace_id = models.CharField(max_length=32, blank=True, default="")
    pending_action_id = models.CharField(max_length=36, blank=True, default="")
    began_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["session", "number"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["session", "number"], name="step_numbered_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="step_counts_from_one"),
            models.CheckConstraint(condition=Q(role__in=["user", "assistant", "tool"]), name="step_role_known"),
            models.CheckConstraint(
                condition=Q(channel__in=["user_to_llm", "llm_to_tool", "tool_to_llm"]), name="step_channel_known"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | ~Q(decision=""), name="step_that_ended_has_its_decision"
            ),
        ]
        indexes: ClassVar = [
            # the sweep of those that were cut off
            models.Index(fields=["began_at"], condition=Q(ended_at=None), name="step_unfinished"),
            # from a trace to the step that it was made in
            models.Index(fields=["trace_id"], name="step_by_trace"),
        ]

    def __str__(self) -> str:
        return self.step_id

    @property
    def step_id(self) -> str:
        return f"step_{self.number}"

    @property
    def latency_ms(self) -> float:
        return self.latency_us / 1000

    def as_json(self) -> dict[str, Any]:
        """The step on the wire and in reports; nothing in it that is not masked."""
        return {
            "step_id": self.step_id,
            "number": self.number,
            "role": self.role,
            "channel": self.channel,
            "input_text": self.input_text,
            "selected_tool": self.selected_tool or None,
            "tool_args": self.tool_args,
            "output_text": self.output_text or None,
            "error": self.error or None,
            "decision": self.decision or None,
            "reason": self.reason or None,
            "rule": self.rule or None,
            "policy": self.policy or None,
            "policy_revision": self.policy_revision,
            "dry_run": self.dry_run,
            "latency_ms": self.latency_ms,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "token_source": self.token_source or None,
            "cost_est": None if self.cost_est is None else float(self.cost_est),
            "guardrail_signals": self.guardrail_signals,
            "reused_fingerprints": self.reused_fingerprints,
            "violations": self.violations,
            "masked_paths": self.masked_paths,
            "trace_id": self.trace_id or None,
            "pending_action_id": self.pending_action_id or None,
            "began_at": self.began_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
        }
