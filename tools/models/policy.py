from typing import ClassVar

from django.contrib.auth.models import Group
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from telemetry.append_only import AppendOnlyModel, AppendOnlyQuerySet
from tools.policy.conditions import Operator
from tools.policy.effects import Effect
from tools.rates import RATE_HELP, validate_rate


class Policy(models.Model):
    """Ordered rules. What stands here is the draft; what is in force is the current revision."""

    name = models.CharField(max_length=80, unique=True, help_text="e.g. support-agents. Records name it.")
    description = models.TextField(blank=True)
    self_confirm = models.BooleanField(
        default=False,
        help_text="A key may confirm what it asked for itself. Off is four eyes: somebody else must agree.",
    )
    no_network = models.BooleanField(
        default=False, help_text="Deny every tool that does not declare that it stays inside."
    )
    dry_run = models.BooleanField(default=False, help_text="Every allowed call is only simulated; nothing runs.")
    tool_search = models.BooleanField(
        default=False,
        help_text="Over MCP, agents find tools by words instead of being listed all, e.g. for a catalogue of 300 "
        "tools, which would fill a model's context. What may be called stays the same.",
    )
    current_revision = models.ForeignKey(
        "tools.PolicyRevision", on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name_plural = "policies"
        default_permissions: ClassVar = ("add", "change", "view")
        permissions: ClassVar = [("publish_policy", "Can publish and roll back policies")]

    def __str__(self) -> str:
        return self.name


class Rule(models.Model):
    """Selector + condition + effect, in a policy's draft."""

    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="rules")
    position = models.PositiveSmallIntegerField(
        default=10, help_text="Order names the rule where several with the same effect match; it never loosens."
    )
    name = models.CharField(max_length=120, help_text="What it says, e.g. “Refunds over 500 wait for finance”.")
    tools = models.TextField(
        help_text="One tool a line, exactly or with * and ?: create_ticket, crm.*",
        default="",
    )
    effect = models.CharField(max_length=20, choices=[(e.value, e.label) for e in Effect], default=Effect.ALLOW.value)
    expression = models.TextField(
        "CEL expression",
        blank=True,
        default="",
        help_text='Where the conditions above are not enough, e.g. args.amount > 500.0 && agent.name != "billing".',
    )
    rate = models.CharField(
        max_length=16, blank=True, default="", validators=[validate_rate], help_text=f"Effect “rate”: {RATE_HELP}"
    )
    redact_paths = models.TextField(
        blank=True, default="", help_text="Effect “redact”: one output path a line, e.g. customer.email"
    )
    quorum = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text="Effect “require approval”: how many people must agree."
    )
    groups = models.ManyToManyField(
        Group,
        blank=True,
        help_text="Effect “require approval”: who may decide. Empty: every operator who may decide actions.",
    )
    expires_in_s = models.PositiveIntegerField(
        "time to decide (s)", default=3600, validators=[MinValueValidator(1)], help_text="Effect “require approval”."
    )

    class Meta:
        ordering: ClassVar = ["policy", "position", "pk"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(effect__in=[e.value for e in Effect]), name="rule_effect_known"),
            models.CheckConstraint(condition=Q(quorum__gte=1), name="rule_quorum_at_least_one"),
        ]

    def __str__(self) -> str:
        return self.name

    def selectors(self) -> list[str]:
        return [line.strip() for line in self.tools.splitlines() if line.strip()]


class RuleCondition(models.Model):
    """One condition of a rule; all of a rule's conditions must hold."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="conditions")
    field = models.CharField(max_length=120, help_text="e.g. args.amount, tool.risk, agent.name, time.hour")
    operator = models.CharField(max_length=16, choices=[(o.value, o.label) for o in Operator])
    value = models.CharField(max_length=500, blank=True, help_text="e.g. 500; for “is one of”: EUR, USD")

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {self.value}".strip()


class PolicyExample(models.Model):
    """A call and what the policy must say of it; a draft that says otherwise can't be published."""

    EXPECTED: ClassVar = [
        ("allow", "Allow"),
        ("deny", "Deny"),
        ("require_approval", "Require approval"),
        ("require_two_phase", "Require two phases"),
        ("dry_run", "Dry run"),
    ]
    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="examples")
    name = models.CharField(max_length=120, help_text="e.g. “A refund of 501 waits”.")
    tool = models.CharField(max_length=56)
    arguments = models.JSONField(default=dict, blank=True, help_text='e.g. {"amount": "501.00"}')
    agent = models.CharField(max_length=80, blank=True, default="", help_text="agent.name in conditions; may be empty.")
    expected = models.CharField(max_length=20, choices=EXPECTED)

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return self.name


class PolicyRevision(AppendOnlyModel):
    """A policy as it was published, whole and frozen. Decisions name its number."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    digest = models.CharField(max_length=64, help_text="SHA-256 over the canonical document.")
    note = models.CharField(max_length=300, blank=True, default="")
    published_by = models.CharField(max_length=150)
    published_at = models.DateTimeField(default=timezone.now)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["policy", "-number"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["policy", "number"], name="policy_revision_numbered_once"),
        ]

    def __str__(self) -> str:
        return f"{self.policy.name} r{self.number}"
