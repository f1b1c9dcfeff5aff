from typing import ClassVar

from django.db import models


class RefusalCount(models.Model):
    """How many requests were refused in a minute before anybody was authenticated: counted, not written one by one."""

    minute = models.DateTimeField()
    reason = models.CharField(max_length=40)
    shard = models.PositiveSmallIntegerField(help_text="Spreads concurrent counting over rows; sum over it.")
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["minute", "reason", "shard"], name="refusal_count_once"),
        ]

    def __str__(self) -> str:
        return f"{self.count} x {self.reason} at {self.minute:%H:%M}"
