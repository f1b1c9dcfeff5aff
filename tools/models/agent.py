from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from tools.rates import validate_rate
from tools.scopes import Scope

if TYPE_CHECKING:
    import datetime as dt


LONGEST_CHAIN = 50


class Agent(models.Model):
    """Who calls. An agent may do nothing by itself: its keys carry scopes and a policy."""

    name = models.CharField(
        max_length=80,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9_.-]*$", "Lower-case letters, digits, dot, dash, underscore.")],
        help_text="How records and rules name it, e.g. billing-assistant. It can't be changed later.",
    )
    description = models.TextField(blank=True, help_text="What it is for, and whom to ask about it.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="agents",
        help_text="The person who answers for this agent. Nobody approves what their own agent asked for.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        default_permissions: ClassVar = ("add", "change", "view")
        permissions: ClassVar = [("explain_access", "Can ask what any agent's call would be answered")]

    def __str__(self) -> str:
        return self.name


class AgentKeyQuerySet(models.QuerySet["AgentKey"]):
    def usable(self, now: "dt.datetime") -> "AgentKeyQuerySet":
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)


class AgentKey(models.Model):
    """How an agent proves who it is. The secret itself is shown once and never stored; its SHA-256 is."""

    public_id = models.CharField(max_length=8, unique=True, editable=False, help_text="The part that may be seen.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="keys")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="agent_keys",
        help_text="The person this key stands for. With actions:confirm, it votes as this person.",
    )
    policy = models.ForeignKey(
        "tools.Policy",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="keys",
        help_text="What the key may call. Without a policy it may call nothing.",
    )
    scopes = ArrayField(
        models.CharField(max_length=24, choices=Scope.choices),
        default=list,
        blank=True,
        help_text="What the key may do at the doors. Without scopes it may do nothing.",
    )
    rate = models.CharField(
        max_length=16,
        default="600/m",
        validators=[validate_rate],
        help_text="Most calls in a time, e.g. 600/m; also 10/s, 1000/h, 5/10m.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="From this moment on it works no more.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    replaced_by = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="replaces"
    )
    issued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        help_text="Who was shown the secret. They decide nothing that this key asks for.",
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = AgentKeyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["agent__name", "-created_at"]
        default_permissions: ClassVar = ("add", "change", "view")
        permissions: ClassVar = [
            ("rotate_agentkey", "Can rotate agent keys"),
            ("revoke_agentkey", "Can revoke agent keys"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(expires_at=None) | Q(expires_at__gt=models.F("created_at")), name="agent_key_expires_later"
            ),
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="agent_key_digest_is_sha256"),
        ]

    def __str__(self) -> str:
        return f"{self.agent.name} · {self.public_id}"

    def in_force(self, now: "dt.datetime") -> "AgentKey | None":
        """This key, or the one that replaced it, as long as one of them works; None where none does."""
        key: AgentKey | None = self
        for _ in range(LONGEST_CHAIN):
            if key is None or key.revoked_at is not None or not key.owner.is_active:
                return None
            if key.expires_at is None or key.expires_at > now:
                return key
            key = key.replaced_by
        return None

    def state(self, now: "dt.datetime") -> str:
        """In a word: revoked, expired, replaced (works until its grace ends), active."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= now:
            return "expired"
        return "replaced" if self.replaced_by_id else "active"
