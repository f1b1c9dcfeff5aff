"""Alert rules, the alerts that they raised, who is told of them, and when nobody is to be told."""

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from telemetry.append_only import AppendOnlyModel, AppendOnlyQuerySet


class AlertChannel(models.Model):
    """A way to tell people or machines of alerts."""

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        SLACK = "slack", "Slack"
        WEBHOOK = "webhook", "Webhook (Standard Webhooks)"
        PAGERDUTY = "pagerduty", "PagerDuty (Events v2)"

    name = models.CharField(max_length=60, unique=True, help_text="e.g. on call")
    kind = models.CharField(max_length=9, choices=Kind.choices)
    recipients = models.TextField(
        blank=True, default="", help_text="For e-mail: addresses, one a line, e.g. oncall@example.com."
    )
    url = models.CharField(
        "URL",
        max_length=500,
        blank=True,
        default="",
        help_text="For Slack the incoming webhook's address, which is a secret itself and is stored encrypted; for a "
        "webhook the receiver's, e.g. https://alerts.example.com/hook. PagerDuty has a fixed one.",
    )
    sealed_secret = models.BinaryField(null=True, editable=False)
    enabled = models.BooleanField(default=True, help_text="Off: nothing is sent through it.")
    last_sent_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, default="", editable=False)
    last_failed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        permissions: ClassVar = [("test_alertchannel", "Can send a test through an alert channel")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=["email", "slack", "webhook", "pagerduty"]), name="alert_channel_kind_known"
            )
        ]

    def __str__(self) -> str:
        return self.name


class AlertRule(models.Model):
    """A bound for a figure over a window of time. What it found stands in its alerts, one for each set of labels."""

    class Comparison(models.TextChoices):
        ABOVE = "above", "above"
        BELOW = "below", "below"

    class NoData(models.TextChoices):
        KEEP = "keep", "Keep the state that it had"
        RESOLVE = "resolve", "Count as within bounds"
        FIRE = "fire", "Count as out of bounds"

    class Severity(models.TextChoices):
        INFO = "info", "Info"
        WARNING = "warning", "Warning"
        CRITICAL = "critical", "Critical"

    class GroupBy(models.TextChoices):
        SERVICE = "service", "Service"
        MODEL = "model", "Model"
        TOOL_NAME = "tool_name", "Tool"
        AGENT = "agent", "Agent"

    name = models.CharField(max_length=100, unique=True, help_text="e.g. Denials of one tool")
    description = models.TextField(
        blank=True, default="", help_text="What it means and what to do; it goes to the people who are told."
    )
    key = models.CharField(
        max_length=80,
        blank=True,
        default="",
        editable=False,
        help_text="The word for it on the wire, of a rule that comes with the installation.",
    )
    metric = models.CharField(max_length=60)
    comparison = models.CharField(max_length=5, choices=Comparison.choices, default=Comparison.ABOVE)
    threshold = models.FloatField(
        help_text="e.g. 0.10 for ten in a hundred; seconds, US dollars or a number elsewhere."
    )
    window_s = models.PositiveIntegerField(
        "window (s)",
        default=300,
        validators=[MinValueValidator(60), MaxValueValidator(86_400)],
        help_text="Over how much of the past, in whole minutes, e.g. 300.",
    )
    min_samples = models.PositiveIntegerField(
        "least samples",
        default=20,
        help_text="With fewer in the window there is no figure, e.g. 20: one failure of two calls is no rate.",
    )
    for_s = models.PositiveIntegerField(
        "out of bounds for (s)", default=0, help_text="Before it fires, e.g. 120. 0: at once."
    )
    keep_firing_s = models.PositiveIntegerField(
        "keep firing (s)", default=300, help_text="After it is within bounds again, so that it does not flap."
    )
    repeat_s = models.PositiveIntegerField(
        "tell again every (s)", default=14_400, help_text="While it fires, e.g. 14400. 0: tell once."
    )
    no_data = models.CharField(
        max_length=7,
        choices=NoData.choices,
        default=NoData.KEEP,
        help_text="What too few samples count as.",
    )
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.WARNING)
    service = models.CharField(max_length=80, blank=True, default="", help_text="Only this service. Empty: all.")
    model = models.CharField(max_length=120, blank=True, default="", help_text="Only this model. Empty: all.")
    tool_name = models.CharField("tool", max_length=64, blank=True, default="", help_text="Only this. Empty: all.")
    agent = models.CharField(max_length=80, blank=True, default="", help_text="Only this agent. Empty: all.")
    group_by = ArrayField(
        models.CharField(max_length=9, choices=GroupBy.choices),
        default=list,
        blank=True,
        help_text="An alert of its own for each of these. None: one alert.",
    )
    channels = models.ManyToManyField(AlertChannel, blank=True, help_text="Who is told. None: it shows here only.")
    enabled = models.BooleanField(default=True)
    revision = models.PositiveIntegerField(default=1, editable=False, help_text="Counts changes of what it asks.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    # What a filter of a rule may name: columns of rollups.
    FILTERS: ClassVar = ("service", "model", "tool_name", "agent")

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(window_s__gte=60), name="alert_window_is_a_minute"),
            models.UniqueConstraint(fields=["key"], condition=~Q(key=""), name="one_alert_rule_of_a_key"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def filters(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in self.FILTERS if getattr(self, name)}


class AlertState(models.TextChoices):
    INACTIVE = "inactive", "Within bounds"
    PENDING = "pending", "Out of bounds, not yet long enough"
    FIRING = "firing", "Firing"
    RESOLVED = "resolved", "Resolved"


class AlertInstance(models.Model):
    """Where one rule stands for one set of labels. Only telemetry/alerts/ moves it: compare-and-swap on `version`."""

    rule = models.ForeignKey(AlertRule, on_delete=models.PROTECT, related_name="instances")
    labels = models.JSONField(default=dict)
    dedupe_key = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the rule's id and the labels.")
    state = models.CharField(max_length=8, choices=AlertState.choices, default=AlertState.INACTIVE)
    version = models.PositiveBigIntegerField(default=0)
    episode = models.UUIDField(null=True, help_text="Names the time from pending to resolved.")
    since = models.DateTimeField(help_text="In this state since.")
    started_at = models.DateTimeField(null=True, help_text="Out of bounds since, in this episode.")
    last_true_at = models.DateTimeField(null=True, help_text="Out of bounds when it was last looked at.")
    told_at = models.DateTimeField(null=True, help_text="When people were last to be told of this episode.")
    value = models.FloatField(null=True)
    samples = models.BigIntegerField(default=0)
    evaluated_at = models.DateTimeField(help_text="The end of the window that it was last looked at for.")

    class Meta:
        ordering: ClassVar = ["-since"]
        verbose_name = "alert"
        default_permissions: ClassVar = ("view",)
        indexes: ClassVar = [
            # the first page and GET /telemetry/alerts: what is out of bounds now
            models.Index(fields=["state", "-since"], name="alert_state"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=AlertState.values), name="alert_state_known"),
        ]

    def __str__(self) -> str:
        named = ", ".join(f"{name}={value}" for name, value in sorted(self.labels.items()))
        return f"{self.rule.name} ({named})" if named else self.rule.name


class AlertTransition(AppendOnlyModel):
    """One change of state of one alert, with the figure that brought it about."""

    instance = models.ForeignKey(AlertInstance, on_delete=models.PROTECT, related_name="transitions")
    rule_name = models.CharField(max_length=100)
    labels = models.JSONField(default=dict)
    episode = models.UUIDField(null=True)
    was = models.CharField(max_length=8, choices=AlertState.choices)
    became = models.CharField(max_length=8, choices=AlertState.choices)
    at = models.DateTimeField(help_text="The end of the window that brought it about.")
    recorded_at = models.DateTimeField(db_default=Now())
    value = models.FloatField(null=True)
    threshold = models.FloatField()
    samples = models.BigIntegerField(default=0)
    why = models.CharField(max_length=200, blank=True, default="")

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ("view",)
        indexes: ClassVar = [models.Index(fields=["-at"], name="alert_transition_time")]

    def __str__(self) -> str:
        return f"{self.rule_name}: {self.was} to {self.became}"


class AlertNotificationQuerySet(models.QuerySet["AlertNotification"]):
    def due(self) -> "AlertNotificationQuerySet":
        """By the database's clock, whichever worker asks."""
        return self.filter(next_attempt_at__lte=Now())


class AlertNotification(models.Model):
    """One message of one alert to one channel: queued with the change that it tells of, sent by a worker.

    Without a next attempt it is over: sent, silenced, or given up with its last error.
    """

    class Kind(models.TextChoices):
        FIRING = "firing", "Fires"
        REPEAT = "repeat", "Still fires"
        RESOLVED = "resolved", "Resolved"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    instance = models.ForeignKey(AlertInstance, on_delete=models.PROTECT, related_name="notifications")
    channel = models.ForeignKey(AlertChannel, on_delete=models.PROTECT, related_name="notifications")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    episode = models.UUIDField()
    sequence = models.PositiveIntegerField(default=0, help_text="Counts repetitions within the episode.")
    message = models.JSONField(help_text="Labels and numbers only.")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    silenced_by = models.ForeignKey(
        "telemetry.AlertSilence", null=True, blank=True, on_delete=models.PROTECT, related_name="silenced"
    )
    last_error = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    objects = AlertNotificationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["instance", "channel", "episode", "kind", "sequence"], name="alert_told_once"
            ),
            models.CheckConstraint(condition=Q(sent_at=None) | Q(next_attempt_at=None), name="alert_sent_is_over"),
        ]
        indexes: ClassVar = [
            # the sender: what is due, the oldest first
            models.Index(fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="alert_due"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.instance_id} to {self.channel_id}"


class AlertSilence(models.Model):
    """For a time nobody is told of certain alerts; their state goes on. Every matcher that is given must fit."""

    rule = models.ForeignKey(
        AlertRule, null=True, blank=True, on_delete=models.PROTECT, help_text="Only alerts of this rule. Empty: any."
    )
    service = models.CharField(max_length=80, blank=True, default="", help_text="Only this service. Empty: any.")
    model = models.CharField(max_length=120, blank=True, default="", help_text="Only this model. Empty: any.")
    tool_name = models.CharField("tool", max_length=64, blank=True, default="", help_text="Only this. Empty: any.")
    agent = models.CharField(max_length=80, blank=True, default="", help_text="Only this agent. Empty: any.")
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(help_text="A silence always ends.")
    why = models.CharField(max_length=300, help_text="e.g. the CRM is being upgraded, change 4711.")
    created_by = models.CharField(max_length=150, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["-ends_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_at__gt=models.F("starts_at")), name="silence_ends_after_start"),
        ]

    def __str__(self) -> str:
        return f"{self.rule or 'any rule'} until {self.ends_at:%Y-%m-%d %H:%M}"
