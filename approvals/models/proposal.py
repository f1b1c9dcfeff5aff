import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from approvals.models.prompt_baseline import PromptBaseline
from telemetry.append_only import AppendOnlyModel, AppendOnlyQuerySet
from tools.models import Agent, AgentKey, PolicyRevision, Tool, ToolVersion


class Proposal(AppendOnlyModel):
    """The immutable record of an intent: what was asked, how it scored and by which measure, as it was then.

    Its status, and everything else that changes, is on the pending action with the same id.
    """

    class Source(models.TextChoices):
        CALLER = "caller", "Sent by the caller"
        MODEL = "model", "The configured model endpoint"
        DEMO = "demo", "The demonstration's generator, not a model"
        NONE = "none", "None"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+")
    agent_key = models.ForeignKey(AgentKey, on_delete=models.PROTECT, related_name="+")
    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="+")
    tool_version = models.ForeignKey(ToolVersion, on_delete=models.PROTECT, related_name="+")
    policy_revision = models.ForeignKey(PolicyRevision, on_delete=models.PROTECT, related_name="+")
    args_digest = models.CharField(max_length=64)
    args_masked = models.TextField(help_text="Canonical JSON, masked.")
    prompt_hash = models.CharField(max_length=64, blank=True, default="", help_text="Of the normalised prompt.")
    prompt_masked = models.TextField(blank=True, default="")
    candidate_source = models.CharField(max_length=8, choices=Source.choices)
    # What was scored, in full, as a payload; no foreign key, for the payload expires and this row never changes.
    evidence_id = models.UUIDField(null=True)
    output_instability = models.FloatField(null=True)
    numeric_variance = models.FloatField(null=True)
    prompt_drift = models.FloatField(null=True)
    composite_score = models.FloatField(null=True, help_text="Null: no signal was present.")
    weights = models.JSONField(help_text="The weights of the day.")
    block_at = models.FloatField(help_text="The threshold of the day.")
    baseline = models.ForeignKey(PromptBaseline, on_delete=models.PROTECT, null=True, related_name="+")
    blocked = models.BooleanField()
    commit_within_s = models.PositiveIntegerField()
    trace_id = models.CharField(max_length=32)
    session_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(composite_score__isnull=False) | Q(blocked=True), name="proposal_unscored_is_blocked"
            ),
            models.CheckConstraint(
                condition=Q(composite_score__isnull=True)
                | Q(blocked=True, composite_score__gte=models.F("block_at"))
                | Q(blocked=False, composite_score__lt=models.F("block_at")),
                name="proposal_blocked_by_its_score",
            ),
            models.CheckConstraint(
                condition=Q(candidate_source__in=["caller", "model", "demo", "none"]), name="proposal_source_known"
            ),
        ]
        indexes: ClassVar = [
            # the list in admin, newest first; one agent's own
            models.Index(fields=["-created_at"], name="proposal_newest"),
            models.Index(fields=["agent", "-created_at"], name="proposal_by_agent"),
            # the search in admin, by trace
            models.Index(fields=["trace_id"], name="proposal_by_trace"),
        ]

    def __str__(self) -> str:
        return f"{self.tool.name} for {self.agent.name}"
