import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from approvals.models.proposal import Proposal
from approvals.models.signing_key import SigningKey
from telemetry.append_only import AppendOnlyModel, AppendOnlyQuerySet
from tools.models import Agent, AgentKey


class CommitToken(AppendOnlyModel):
    """What a commit token says. The token itself is stored nowhere: its claims and its key make it again."""

    id = models.UUIDField("token id", primary_key=True, default=uuid.uuid4, editable=False)
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="tokens")
    signing_key = models.ForeignKey(SigningKey, on_delete=models.PROTECT, related_name="+")
    nonce = models.CharField(max_length=43, unique=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-issued_at"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(expires_at__gt=models.F("issued_at")), name="token_expires_later"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class CommitQuerySet(AppendOnlyQuerySet):
    def refused(self) -> "CommitQuerySet":
        """Nothing ran, and nothing had run that was only told again."""
        return self.filter(accepted=False).exclude(reason="idempotent_replay")


class Commit(AppendOnlyModel):
    """One attempt to commit, with the reason it got. `proposal_id` is what was asked for; it need not exist."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    proposal_id = models.UUIDField(null=True)
    token_id = models.UUIDField(null=True, help_text="Only of a token whose signature is genuine.")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+")
    agent_key = models.ForeignKey(AgentKey, on_delete=models.PROTECT, related_name="+")
    accepted = models.BooleanField()
    reason = models.CharField(max_length=40)
    trace_id = models.CharField(max_length=32)
    created_at = models.DateTimeField(default=timezone.now)

    objects = CommitQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(accepted=True, reason="allowed") | (Q(accepted=False) & ~Q(reason="allowed")),
                name="commit_accepted_or_why_not",
            ),
            models.UniqueConstraint(
                fields=["proposal_id"], condition=Q(accepted=True), name="one_accepted_commit_a_proposal"
            ),
        ]
        indexes: ClassVar = [
            # the attempts on one proposal; the list in admin
            models.Index(fields=["proposal_id"], name="commit_of_proposal"),
            models.Index(fields=["-created_at"], name="commit_newest"),
            # the search in admin: what one trace did, and what became of one token
            models.Index(fields=["trace_id"], name="commit_by_trace"),
            models.Index(fields=["token_id"], name="commit_by_token"),
        ]

    def __str__(self) -> str:
        return str(self.id)
