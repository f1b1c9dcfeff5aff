from typing import ClassVar

from django.db import models


class SnapshotVersion(models.Model):
    """One row, counted up by triggers whenever keys, tools, policies or switches change, whoever changes them."""

    version = models.BigIntegerField(default=1)

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="snapshot_version_is_one_row")]

    def __str__(self) -> str:
        return str(self.version)
