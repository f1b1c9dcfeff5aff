from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from approvals.models.pending_action import PendingAction
from telemetry.append_only import AppendOnlyModel, AppendOnlyQuerySet


class Vote(AppendOnlyModel):
    """One operator's yes or no to one pending action, kept for ever."""

    pending_action = models.ForeignKey(PendingAction, on_delete=models.PROTECT, related_name="votes")
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    operator_name = models.CharField(max_length=150, help_text="The name of the day.")
    approve = models.BooleanField()
    reason = models.CharField(max_length=300, blank=True, default="")
    args_digest = models.CharField(max_length=64, help_text="What the operator saw.")
    via = models.CharField(max_length=16, help_text="admin, confirm or mcp")
    created_at = models.DateTimeField(default=timezone.now)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pending_action", "operator"], name="one_vote_an_operator"),
        ]

    def __str__(self) -> str:
        return f"{self.operator_name}: {'yes' if self.approve else 'no'}"
