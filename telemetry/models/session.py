import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

SESSION_ID_PATTERN = r"^[A-Za-z0-9_.:-]{1,64}$"


class SessionQuerySet(models.QuerySet["Session"]):
    def of_agent(self, agent_id: int) -> "SessionQuerySet":
        return self.filter(agent_id=agent_id)

    def open(self) -> "SessionQuerySet":
        return self.filter(status=Session.Status.OPEN)

    def idle_since(self, moment: object) -> "SessionQuerySet":
        """Open, and without a step since; the longest idle first."""
        return self.open().filter(last_used_at__lte=moment).order_by("last_used_at")


class Session(models.Model):
    """One run of an agent under the harness: its configuration as it was at the start, and what its steps add up to.

    Names of agent and key are those of the day; nothing here points at rows of the apps above. Only
    telemetry/sessions.py writes it.
    """

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"
        EXPIRED = "expired", "Ended, idle too long"
        STOPPED = "stopped", "Stopped by an operator"
        REFUSED = "refused", "Refused at its preflight"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session_id = models.CharField(max_length=64, help_text="The agent's name for it; unique among the agent's own.")
    agent_id = models.BigIntegerField()
    agent = models.CharField(max_length=80)
    agent_key = models.CharField(max_length=16)
    model = models.CharField(max_length=120)
    provider = models.CharField(max_length=40, blank=True, default="")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.OPEN)
    upstream = models.CharField(
        max_length=40, blank=True, default="", help_text="Where only tools of one upstream server may be called."
    )
    reported = models.BooleanField(
        default=False, help_text="Its steps ran elsewhere, and are told here; nothing of it ran here."
    )
    policy = models.JSONField(default=dict, help_text="How it narrows the policy of its key.")
    guardrails = models.JSONField(default=dict, help_text="Mode and thresholds that hold in it.")
    rules_hash = models.CharField(max_length=64, help_text="SHA-256 over its whole configuration.")
    tools_discovered = models.JSONField(default=list, help_text="Name, version and digest of each tool it could see.")
    preflight_result = models.JSONField(default=dict)
    max_steps = models.PositiveIntegerField()
    steps_begun = models.PositiveIntegerField(default=0)
    steps_refused = models.PositiveIntegerField(default=0, help_text="Asked for beyond max_steps.")
    total_steps = models.PositiveIntegerField(default=0, help_text="Those that have ended.")
    total_latency_us = models.BigIntegerField(default=0)
    total_tokens_in = models.BigIntegerField(default=0)
    total_tokens_out = models.BigIntegerField(default=0)
    # Room for as many steps as a session may have, each as dear as one may be: a step that ran must find room.
    total_cost_est = models.DecimalField(max_digits=20, decimal_places=8, default=0)
    total_violations = models.PositiveIntegerField(default=0)
    tools_called = ArrayField(models.CharField(max_length=64), default=list, help_text="Those that ran, once each.")
    labels = ArrayField(
        models.CharField(max_length=40), default=list, help_text="What has come in: untrusted_text, private_data."
    )
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=150, blank=True, default="")

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        default_permissions: ClassVar = ("view",)
        permissions: ClassVar = [("stop_session", "Can stop sessions"), ("report_session", "Can make session reports")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["agent_id", "session_id"], name="session_named_once_by_its_agent"),
            models.CheckConstraint(condition=Q(session_id__regex=SESSION_ID_PATTERN), name="session_name_plain"),
            models.CheckConstraint(condition=Q(rules_hash__regex=r"^[0-9a-f]{64}$"), name="session_hash_is_sha256"),
            models.CheckConstraint(
                condition=Q(status__in=["open", "closed", "expired", "stopped", "refused"]), name="session_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status="open", ended_at=None) | ~Q(status="open") & Q(ended_at__isnull=False),
                name="session_ended_has_its_time",
            ),
            models.CheckConstraint(condition=Q(steps_begun__lte=F("max_steps")), name="session_within_its_steps"),
            models.CheckConstraint(condition=Q(total_steps__lte=F("steps_begun")), name="session_ends_what_it_began"),
        ]
        indexes: ClassVar = [
            # the list in admin, and reports of a time
            models.Index(fields=["-created_at", "id"], name="session_latest"),
            # one agent's
            models.Index(fields=["agent", "-created_at"], name="session_by_agent"),
            # the sweep of idle ones
            models.Index(fields=["last_used_at"], condition=Q(status="open"), name="session_idle"),
        ]

    def __str__(self) -> str:
        return f"{self.session_id} of {self.agent}"

    @property
    def is_open(self) -> bool:
        return self.status == self.Status.OPEN

    @property
    def total_latency_ms(self) -> float:
        return self.total_latency_us / 1000
