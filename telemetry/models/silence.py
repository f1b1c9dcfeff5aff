import datetime as dt
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from telemetry.models.alert import AlertInstance, AlertRule


class AlertSilenceQuerySet(models.QuerySet["AlertSilence"]):
    def in_force(self, now: dt.datetime) -> "AlertSilenceQuerySet":
        return self.filter(starts_at__lte=now, ends_at__gt=now)


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

    # What a silence may name beside the rule: an alert's labels.
    MATCHERS: ClassVar = AlertRule.FILTERS

    objects = AlertSilenceQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-ends_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_at__gt=models.F("starts_at")), name="silence_ends_after_start"),
        ]

    def __str__(self) -> str:
        return f"{self.rule or 'any rule'} until {self.ends_at:%Y-%m-%d %H:%M}"

    def fits(self, instance: AlertInstance) -> bool:
        """Whether it is about this alert: each matcher that is given equals the alert's label."""
        wanted = {name: getattr(self, name) for name in self.MATCHERS if getattr(self, name)}
        fits_rule = self.rule_id is None or self.rule_id == instance.rule_id
        return fits_rule and all(instance.labels.get(name) == value for name, value in wanted.items())
