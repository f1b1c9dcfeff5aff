"""Alert rules, and the alerts that they raised."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from telemetry.append_only import AppendOnlyModel, AppendOnlyQuerySet
from telemetry.models.channel import AlertChannel
from telemetry.visible import visible


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


class AlertRuleHealth(models.Model):
    """How a rule's last evaluation went; written by workers, so that it stands apart from what operators say."""

    rule = models.OneToOneField(AlertRule, on_delete=models.CASCADE, related_name="health", primary_key=True)
    evaluated_at = models.DateTimeField(null=True, help_text="The end of the last window that was looked at.")
    label_sets = models.PositiveIntegerField(default=0)
    left_out = models.PositiveIntegerField(
        default=0, help_text="Label sets out of bounds beyond the most that are kept."
    )
    error = models.CharField(max_length=300, blank=True, default="")
    failed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return self.error or "well"


class AlertInstanceQuerySet(models.QuerySet["AlertInstance"]):
    def open(self) -> "AlertInstanceQuerySet":
        """Out of bounds: those that fire, and those that may soon."""
        return self.filter(state__in=(AlertState.PENDING, AlertState.FIRING))


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
    revision = models.PositiveIntegerField(default=1, db_default=1, help_text="Of the rule that it was looked at by.")

    objects = AlertInstanceQuerySet.as_manager()

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
        named = visible(", ".join(f"{name}={value}" for name, value in sorted(self.labels.items())))
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
