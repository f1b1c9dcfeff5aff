from typing import ClassVar

from django.db import models


class Heartbeat(models.Model):
    """When a part of the installation last showed that it lives: beat through a worker, the audit trail."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField()
    failures = models.PositiveBigIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True, default="", db_default="")

    class Meta:
        default_permissions: ClassVar = ("view",)

    def __str__(self) -> str:
        return self.name
