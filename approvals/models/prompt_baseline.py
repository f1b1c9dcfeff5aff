from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from tools.models import Tool


class PromptBaselineQuerySet(models.QuerySet["PromptBaseline"]):
    def in_force(self) -> "PromptBaselineQuerySet":
        return self.filter(retired_at=None)


class PromptBaseline(models.Model):
    """The prompt that an operator approved for a tool. A proposal with another prompt has drifted.

    One baseline a tool is in force; an earlier one is kept with its end.
    """

    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="baselines")
    prompt_hash = models.CharField(max_length=64, help_text="SHA-256 of the normalised prompt.")
    prompt_masked = models.TextField(help_text="The prompt, with what looks like personal data or a secret masked.")
    note = models.CharField(max_length=300, blank=True, default="")
    approved_by = models.CharField(max_length=150)
    approved_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True)

    objects = PromptBaselineQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-approved_at"]
        default_permissions: ClassVar = ("add", "view")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tool"], condition=Q(retired_at=None), name="one_baseline_in_force"),
            models.CheckConstraint(condition=Q(prompt_hash__regex=r"^[0-9a-f]{64}$"), name="baseline_hash_is_sha256"),
        ]

    def __str__(self) -> str:
        return f"{self.tool.name} since {self.approved_at:%Y-%m-%d}"
