import uuid
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, F, Q, When
from django.db.models.functions import Now
from django.utils import timezone

from approvals.models.proposal import Proposal
from approvals.states import Status
from telemetry.models import Payload
from tools.models import AccessSubject, Agent, AgentKey, PolicyRevision, Tool, ToolVersion


class PendingActionQuerySet(models.QuerySet["PendingAction"]):
    def waiting(self) -> "PendingActionQuerySet":
        return self.filter(status=Status.PENDING)

    # The database's clock decides what is over, whichever machine asks.

    def overdue(self) -> "PendingActionQuerySet":
        return self.filter(status__in=[Status.PENDING, Status.APPROVED], expires_at__lte=Now())

    def lapsed(self) -> "PendingActionQuerySet":
        """Runs that were cut off, the oldest first."""
        return self.filter(status=Status.EXECUTING, lease_until__lte=Now()).order_by("lease_until")

    def ready(self) -> "PendingActionQuerySet":
        """What a worker runs by itself. A proposal is run by its agent's commit only."""
        return self.filter(status=Status.APPROVED, expires_at__gt=Now(), proposal=None)

    def approved(self) -> "PendingActionQuerySet":
        return self.filter(status=Status.APPROVED)

    def asked_by(self, agent_id: int) -> "PendingActionQuerySet":
        return self.filter(agent_id=agent_id)

    def decidable_by(self, user: Any) -> "PendingActionQuerySet":
        """What this person may decide: not their own, and theirs by group where the policy names groups."""
        groups = list(user.groups.values_list("name", flat=True))
        eligible = Q(eligible_groups=[]) | Q(eligible_groups__overlap=groups)
        return self.filter(eligible)._for_other_eyes(user)

    def to_settle_by(self, user: Any) -> "PendingActionQuerySet":
        """What was cut off and this person may settle: not their own."""
        return self.filter(status=Status.UNKNOWN)._for_other_eyes(user)

    def _for_other_eyes(self, user: Any) -> "PendingActionQuerySet":
        mapped = AccessSubject.objects.filter(mapped_by=user).values("key__agent")
        own = (
            Q(owner_id=user.pk) | Q(agent__owner_id=user.pk) | Q(agent_key__issued_by_id=user.pk) | Q(agent__in=mapped)
        )
        return self.exclude(own & Q(self_confirm=False))


class PendingAction(models.Model):
    """One held call or proposal from intent to end. What a decision rests on is as it was when the agent asked."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    proposal = models.OneToOneField(
        Proposal,
        on_delete=models.PROTECT,
        null=True,
        related_name="action",
        help_text="Where it came by a proposal: of the same id, and run by its commit only.",
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    reason = models.CharField(max_length=40, blank=True, default="", help_text="Why it ended so, as a reason code.")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+")
    agent_key = models.ForeignKey(AgentKey, on_delete=models.PROTECT, related_name="+")
    owner_id = models.BigIntegerField(help_text="The key's owner when it asked.")
    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="+")
    tool_version = models.ForeignKey(ToolVersion, on_delete=models.PROTECT, related_name="+")
    policy_revision = models.ForeignKey(PolicyRevision, on_delete=models.PROTECT, related_name="+")
    rule = models.CharField(max_length=120, blank=True, default="")
    arguments = models.ForeignKey(Payload, on_delete=models.SET_NULL, null=True, related_name="+")
    args_digest = models.CharField(max_length=64)
    args_masked = models.TextField(help_text="Canonical JSON, masked: for lists and for later.")
    quorum = models.PositiveSmallIntegerField(default=1, help_text="0: nobody had to agree.")
    eligible_groups = ArrayField(models.CharField(max_length=150), default=list, blank=True)
    self_confirm = models.BooleanField(default=False)
    trace_id = models.CharField(max_length=32)
    session_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    result = models.ForeignKey(Payload, on_delete=models.SET_NULL, null=True, related_name="+")

    objects = PendingActionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        default_permissions: ClassVar = ("view",)
        permissions: ClassVar = [
            ("decide_pendingaction", "Can approve and reject pending actions"),
            ("resolve_pendingaction", "Can settle actions whose outcome is unknown"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="action_status_known"),
            models.CheckConstraint(
                condition=Q(quorum__gte=1) | Q(quorum=0, proposal__isnull=False) & ~Q(status="pending"),
                name="action_waits_for_somebody",
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=models.F("created_at")), name="action_expires_later"),
            models.CheckConstraint(
                condition=~Q(status="executing") | Q(lease_until__isnull=False, fence__gte=1),
                name="action_runs_under_lease",
            ),
            models.CheckConstraint(condition=~Q(status="done") | Q(fence__gte=1), name="action_done_was_burnt"),
            models.CheckConstraint(
                condition=Q(proposal=None) | Q(proposal=models.F("id")), name="action_has_its_proposals_id"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["proposed", "blocked"]) | Q(proposal__isnull=False),
                name="action_scored_is_a_proposal",
            ),
        ]
        indexes: ClassVar = [
            # what has one status, newest first: what waits, what is to be settled
            models.Index(fields=["status", "-created_at"], name="action_by_status"),
            # the list in admin: what waits, the most urgent at the top, then the newest; history is kept for ever, and
            # the first page must not sort it
            models.Index(
                Case(When(status="pending", then=F("expires_at"))),
                F("created_at").desc(),
                F("id").desc(),
                name="action_urgent_first",
            ),
            # sweeps: what is overdue, what lapsed
            models.Index(fields=["expires_at"], condition=Q(status__in=["pending", "approved"]), name="action_overdue"),
            models.Index(fields=["lease_until"], condition=Q(status="executing"), name="action_lapsed"),
            # one agent's own
            models.Index(fields=["agent", "-created_at"], name="action_by_agent"),
            # the search in admin, by trace
            models.Index(fields=["trace_id"], name="action_by_trace"),
        ]

    def __str__(self) -> str:
        return f"{self.tool.name} for {self.agent.name}"
