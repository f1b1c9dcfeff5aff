from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from tools.models.agent import AgentKey


class AccessSubjectQuerySet(models.QuerySet["AccessSubject"]):
    def in_force(self) -> "AccessSubjectQuerySet":
        return self.filter(unmapped_at=None)

    def of_agent(self, agent_id: int) -> "AccessSubjectQuerySet":
        return self.filter(key__agent_id=agent_id)


class AccessSubject(models.Model):
    """Whose access tokens act as which agent's key. A row ends, and is never deleted or pointed at another agent."""

    class Kind(models.TextChoices):
        SUBJECT = "subject", "One subject (sub)"
        CLIENT = "client", "Every token of one client (client_id)"

    issuer = models.CharField(max_length=255, help_text="The authorization server, exactly as its tokens name it.")
    kind = models.CharField(
        "tokens of",
        max_length=7,
        choices=Kind.choices,
        default=Kind.SUBJECT,
        help_text="One subject is the safer choice. A client's own tokens, whose sub is its client_id, are its "
        "client's. A subject that is mapped, or was once, is never judged by its client.",
    )
    value = models.CharField(
        "name in the token",
        max_length=255,
        help_text="Exactly as the token has it, e.g. 248289761001 or 5ba552d6-7a3f-4f0e-a1c9-b8f4b7f0f4b1 for a "
        "subject, billing-bot for a client.",
    )
    key = models.ForeignKey(
        AgentKey,
        on_delete=models.PROTECT,
        related_name="access_subjects",
        help_text="The tokens act as this key: under its policy, rate and owner, with those of its scopes that the "
        "token grants too. Revoking or freezing it ends them as well.",
    )
    mapped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="+",
        help_text="Who said so. They decide nothing that this agent asks for.",
    )
    created_at = models.DateTimeField("mapped", default=timezone.now, editable=False)
    unmapped_at = models.DateTimeField("unmapped", null=True, editable=False)

    objects = AccessSubjectQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = [models.F("unmapped_at").desc(nulls_first=True), "value"]
        verbose_name = "access token subject"
        default_permissions: ClassVar = ("add", "change", "view")
        permissions: ClassVar = [("unmap_accesssubject", "Can end what an access token's subject may do")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["issuer", "kind", "value"],
                condition=Q(unmapped_at=None),
                name="access_subject_mapped_once",
                violation_error_message="It is mapped already; unmap it there first.",
            ),
            models.CheckConstraint(condition=Q(kind__in=["subject", "client"]), name="access_subject_kind_known"),
            models.CheckConstraint(condition=~Q(value="") & ~Q(issuer=""), name="access_subject_named"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class UnmappedSubject(models.Model):
    """A genuine token came whose subject acts as nobody: for operators to see and map. Few are kept."""

    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255, blank=True, default="")
    client = models.CharField(max_length=255, blank=True, default="")
    first_seen_at = models.DateTimeField("first seen")
    last_seen_at = models.DateTimeField("last seen")

    class Meta:
        ordering: ClassVar = ["-last_seen_at"]
        verbose_name = "unmapped token subject"
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["issuer", "subject", "client"], name="unmapped_subject_once"),
        ]

    def __str__(self) -> str:
        return f"subject {self.subject}" if self.subject else f"client {self.client}"
