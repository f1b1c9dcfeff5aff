from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from approvals.models.commit import Commit


class NonceQuerySet(models.QuerySet["Nonce"]):
    def expired(self) -> "NonceQuerySet":
        """Those whose token could not be committed any more, whoever tried."""
        return self.filter(expires_at__lte=Now())


class Nonce(models.Model):
    """A one-time number that was spent. Written in the transaction of the burn; unique, so never accepted twice."""

    nonce = models.CharField(max_length=43, primary_key=True)
    commit = models.OneToOneField(Commit, on_delete=models.PROTECT, related_name="nonce")
    spent_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="With its token; after that it is swept.")

    objects = NonceQuerySet.as_manager()

    class Meta:
        default_permissions: ClassVar = ("view",)
        indexes: ClassVar = [
            # the sweep of what expired
            models.Index(fields=["expires_at"], name="nonce_expiry"),
        ]

    def __str__(self) -> str:
        return self.nonce
