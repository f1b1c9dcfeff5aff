from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from telemetry.append_only import AppendOnlyModel, AppendOnlyQuerySet
from tools.rates import validate_rate
from tools.reserved_names import RESERVED_PREFIX

NAME_PATTERN = r"^[a-z0-9_.-]{1,56}$"
RESERVED_ENDINGS = ("_propose", "_commit")


class Tool(models.Model):
    """Callable by name. Its declaration is in versions; what stands here are the operators' settings."""

    class Executor(models.TextChoices):
        PYTHON = "python", "Python function"
        HTTP = "http", "HTTP endpoint"
        MCP = "mcp", "Upstream MCP server"

    class Risk(models.TextChoices):
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"

    class Network(models.TextChoices):
        NO = "no", "Stays inside"
        YES = "yes", "Uses the network"
        UNDECLARED = "undeclared", "Not declared (counts as network)"

    class Flow(models.TextChoices):
        """Whether something comes in or goes out by a tool. What nobody declared counts as yes."""

        NO = "no", "No"
        YES = "yes", "Yes"
        UNDECLARED = "undeclared", "Not declared (counts as yes)"

    name = models.CharField(
        max_length=56,
        unique=True,
        validators=[RegexValidator(NAME_PATTERN, "1 to 56 of: a-z 0-9 _ . -")],
        help_text="How agents call it, e.g. crm.find_order. The endings _propose and _commit are reserved, "
        "and so is the beginning observatory.",
    )
    executor = models.CharField(max_length=8, choices=Executor.choices, default=Executor.HTTP)
    enabled = models.BooleanField(default=True, help_text="Off: nobody sees it, nobody calls it.")
    risk = models.CharField(max_length=8, choices=Risk.choices, default=Risk.MEDIUM)
    read_only = models.BooleanField(default=False, help_text="It changes nothing anywhere; records are lighter.")
    idempotent = models.BooleanField(
        default=False, help_text="The same call twice is as once. Agents are told so, and rules can ask."
    )
    irreversible = models.BooleanField(default=False, help_text="What it does can't be undone.")
    network = models.CharField(
        max_length=10,
        choices=Network.choices,
        default=Network.UNDECLARED,
        help_text="Policies with “no network” deny every tool that does not stay inside.",
    )
    brings_untrusted_text = models.CharField(
        max_length=10,
        choices=Flow.choices,
        default=Flow.UNDECLARED,
        db_default="undeclared",
        help_text="Its answers hold what strangers wrote: web pages, mail, tickets. A session is then labelled "
        "untrusted_text.",
    )
    brings_private_data = models.CharField(
        max_length=10,
        choices=Flow.choices,
        default=Flow.UNDECLARED,
        db_default="undeclared",
        help_text="Its answers hold what must not get out. A session is then labelled private_data.",
    )
    sends_outside = models.CharField(
        max_length=10,
        choices=Flow.choices,
        default=Flow.UNDECLARED,
        db_default="undeclared",
        help_text="Its arguments reach somebody outside: a message, a public page, a foreign API.",
    )
    requires_approval = models.BooleanField(
        default=False,
        help_text="Every call waits for a person; a policy may let the key’s owner be that one.",
    )
    requires_two_phase = models.BooleanField(default=False, help_text="It runs only by a proposal and its commit.")
    accepts_confirm = models.BooleanField(
        default=False,
        help_text="The argument “confirm” asks to run a held call at once, where the policy lets the key.",
    )
    supports_idempotency_key = models.BooleanField(
        default=False,
        help_text="Answers carry “idempotent_replay”. Keys are honoured for every tool with side effects.",
    )
    requires_idempotency_key = models.BooleanField(
        default=False, help_text="A call without Idempotency-Key is refused."
    )
    rate = models.CharField(
        max_length=16,
        blank=True,
        default="",
        validators=[validate_rate],
        help_text="Most calls of this tool by one key in a time, e.g. 60/m. Empty: only the key's own rate.",
    )
    timeout_s = models.PositiveSmallIntegerField(
        "time-out (s)", default=10, validators=[MinValueValidator(1), MaxValueValidator(300)]
    )
    result_limit_bytes = models.PositiveIntegerField(
        "result limit (bytes)",
        default=262_144,
        validators=[MinValueValidator(1024)],
        help_text="Longer results are cut.",
    )
    current_version = models.ForeignKey(
        "tools.ToolVersion", on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    # What operators set; records of a change name these, and calls meet them.
    OPERATOR_FIELDS: ClassVar = (
        "enabled",
        "risk",
        "read_only",
        "idempotent",
        "irreversible",
        "network",
        "brings_untrusted_text",
        "brings_private_data",
        "sends_outside",
        "requires_approval",
        "requires_two_phase",
        "accepts_confirm",
        "supports_idempotency_key",
        "requires_idempotency_key",
        "rate",
        "timeout_s",
        "result_limit_bytes",
    )

    class Meta:
        ordering: ClassVar = ["name"]
        default_permissions: ClassVar = ("add", "change", "view")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(name__regex=NAME_PATTERN), name="tool_name_plain"),
            models.CheckConstraint(
                condition=~Q(name__endswith="_propose") & ~Q(name__endswith="_commit"), name="tool_name_not_reserved"
            ),
            models.CheckConstraint(condition=~Q(name__startswith=RESERVED_PREFIX), name="tool_name_not_our_own"),
            models.CheckConstraint(
                condition=Q(read_only=False) | Q(irreversible=False, requires_idempotency_key=False),
                name="tool_read_only_changes_nothing",
            ),
            *[
                models.CheckConstraint(
                    condition=Q(**{f"{name}__in": ["no", "yes", "undeclared"]}), name=f"tool_{name}_known"
                )
                for name in ("brings_untrusted_text", "brings_private_data", "sends_outside")
            ],
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_as_accepted(self) -> bool:
        """False for a tool of an upstream that nobody has accepted as it now is; such a tool can't be called."""
        offered = getattr(self, "upstream_tool", None)
        return offered.is_callable if offered else self.executor != self.Executor.MCP


class ToolVersion(AppendOnlyModel):
    """What a tool declared at one time, frozen: description, schemas, annotations, and their digest."""

    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=120, blank=True, default="")
    description = models.TextField(blank=True, default="")
    input_schema = models.JSONField()
    output_schema = models.JSONField(null=True)
    annotations = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, help_text="SHA-256 over the canonical declaration.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["tool", "-number"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tool", "number"], name="tool_version_numbered_once"),
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="tool_version_digest_is_sha256"),
        ]

    def __str__(self) -> str:
        return f"{self.tool.name} v{self.number}"


class HttpEndpoint(models.Model):
    """Where an HTTP tool's calls go. `{argument}` in the path is filled in; the rest travels as query or JSON body."""

    class Method(models.TextChoices):
        GET = "GET", "GET"
        POST = "POST", "POST"
        PUT = "PUT", "PUT"
        PATCH = "PATCH", "PATCH"
        DELETE = "DELETE", "DELETE"

    tool = models.OneToOneField(Tool, on_delete=models.CASCADE, related_name="http_endpoint")
    method = models.CharField(max_length=6, choices=Method.choices, default=Method.POST)
    url = models.CharField(
        "URL",
        max_length=500,
        help_text="e.g. https://orders.example.com/v1/orders/{order_id}. Addresses inside your network are refused "
        "unless OBSERVATORY_EGRESS_ALLOW names them.",
    )
    secret_header = models.CharField(
        max_length=60, blank=True, default="", help_text="Header that carries the credential, e.g. Authorization."
    )
    sealed_secret = models.BinaryField(null=True, editable=False)

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"{self.method} {self.url}"
