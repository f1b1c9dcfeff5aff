from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from approvals.models.pending_action import PendingAction


class ActionNoticeQuerySet(models.QuerySet["ActionNotice"]):
    def due(self) -> "ActionNoticeQuerySet":
        """By the database's clock, whichever worker asks."""
        return self.filter(next_attempt_at__lte=Now())

    def given_up(self) -> "ActionNoticeQuerySet":
        return self.filter(next_attempt_at=None, sent_at=None).exclude(last_error="")


class ActionNotice(models.Model):
    """People are to be told of one pending action: queued with it, sent by a worker, tried again where that failed.

    Without a next attempt it is over: sent, given up with its last error, or not needed any more.
    """

    pending_action = models.OneToOneField(PendingAction, on_delete=models.PROTECT, related_name="notice")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    sent_through = ArrayField(
        models.CharField(max_length=16), default=list, blank=True, help_text="Channels that need no further attempt."
    )
    told = models.PositiveIntegerField(default=0, help_text="How many people.")
    last_error = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    objects = ActionNoticeQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(sent_at=None) | Q(next_attempt_at=None), name="notice_sent_is_over"),
        ]
        indexes: ClassVar = [
            # the sender: what is due, the oldest first
            models.Index(fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="notice_due"),
            # the first page: what was given up lately
            models.Index(
                fields=["created_at"],
                condition=Q(next_attempt_at=None, sent_at=None) & ~Q(last_error=""),
                name="notice_given_up",
            ),
        ]

    def __str__(self) -> str:
        return f"notice of {self.pending_action_id}"
