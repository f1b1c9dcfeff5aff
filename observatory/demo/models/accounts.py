from typing import ClassVar

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Account(models.Model):
    """A subscription, and the plan that it began with."""

    code = models.CharField(max_length=40, unique=True)
    plan = models.CharField(max_length=40)

    class Meta:
        ordering: ClassVar = ["code"]

    def __str__(self) -> str:
        return self.code


class PlanChange(models.Model):
    """From this day on the account has this plan; one change a day."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="changes")
    new_plan = models.CharField(max_length=40)
    effective_date = models.DateField()

    class Meta:
        ordering: ClassVar = ["effective_date"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "effective_date"], name="plan_change_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.new_plan} from {self.effective_date}"


class Employee(models.Model):
    """Somebody with a login at the enterprise. Passwords are not kept here, only that a new one must be chosen."""

    code = models.CharField(max_length=40, unique=True)
    must_choose_password = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["code"]

    def __str__(self) -> str:
        return self.code


class PasswordReset(models.Model):
    """That a password was reset, and when; never to what."""

    employee = models.ForeignKey(Employee, on_delete=models.CASCADE, related_name="resets")
    reset_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"{self.employee} at {self.reset_at}"


class FeatureFlag(models.Model):
    """How many percent of users have a feature."""

    name = models.CharField(max_length=80, unique=True)
    rollout_percent = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(100)])

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(rollout_percent__range=(0, 100)), name="flag_rollout_is_a_percentage")
        ]

    def __str__(self) -> str:
        return self.name
