from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from tools.models.agent import Agent
from tools.models.tool import Tool

UPSTREAM_NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,22}$"
# Tools of the door's own begin so.
RESERVED_NAME = "observatory"


# A server that is called and was asked, and did not answer when it was last asked.
IS_DOWN = Q(enabled=True, health__is_up=False, health__checked_at__isnull=False)


class UpstreamQuerySet(models.QuerySet["Upstream"]):
    def down(self) -> "UpstreamQuerySet":
        return self.filter(IS_DOWN)


class Upstream(models.Model):
    """An MCP server whose tools are called through here. Its name is the operators' prefix, never its own word."""

    class Transport(models.TextChoices):
        HTTP = "http", "Streamable HTTP"
        STDIO = "stdio", "A program on this machine (stdio)"
        WEBSOCKET = "websocket", "WebSocket"
        SSE = "sse", "HTTP with SSE (older servers)"

    class Credential(models.TextChoices):
        NONE = "none", "None"
        SHARED = "shared", "One for all agents"
        PER_AGENT = "per_agent", "Each agent its own"

    name = models.CharField(
        max_length=23,
        unique=True,
        validators=[RegexValidator(UPSTREAM_NAME_PATTERN, "1 to 23 of: a-z 0-9 _ -, beginning with a letter or digit")],
        help_text="Stands before the name of each of its tools, e.g. github makes github.create_issue. It stays.",
    )
    description = models.TextField(blank=True, default="", help_text="Whose server it is, and whom to ask about it.")
    transport = models.CharField(max_length=9, choices=Transport.choices, default=Transport.HTTP)
    url = models.CharField(
        "URL",
        max_length=500,
        blank=True,
        default="",
        help_text="e.g. https://mcp.example.com/mcp, or wss://… for a WebSocket. Addresses inside your network are "
        "refused unless OBSERVATORY_EGRESS_ALLOW names them.",
    )
    command = models.CharField(
        max_length=60,
        blank=True,
        default="",
        help_text="For stdio: a name from OBSERVATORY_MCP_COMMANDS, which holds the command line; nothing else runs.",
    )
    credential = models.CharField(
        max_length=9,
        choices=Credential.choices,
        default=Credential.NONE,
        help_text="What the upstream is shown. An agent's key for this installation is never passed on.",
    )
    credential_name = models.CharField(
        max_length=60,
        blank=True,
        default="",
        help_text="The header that carries it, e.g. Authorization; for stdio the environment variable, "
        "e.g. GITHUB_TOKEN.",
    )
    sealed_secret = models.BinaryField(null=True, editable=False)
    timeout_s = models.PositiveSmallIntegerField(
        "time-out (s)",
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(120)],
        help_text="For connecting and for listing tools; each tool has a time-out of its own for its calls.",
    )
    mask_secrets = models.BooleanField(
        default=True, help_text="What looks like a secret in an answer is masked before an agent gets it."
    )
    enabled = models.BooleanField(default=True, help_text="Off: none of its tools can be seen or called.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = UpstreamQuerySet.as_manager()

    # What operators set; records of a change name these.
    OPERATOR_FIELDS: ClassVar = (
        "description",
        "transport",
        "url",
        "command",
        "credential",
        "credential_name",
        "timeout_s",
        "mask_secrets",
        "enabled",
    )

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "upstream server"
        default_permissions: ClassVar = ("add", "change", "view")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(name__regex=UPSTREAM_NAME_PATTERN) & ~Q(name=RESERVED_NAME), name="upstream_name_plain"
            ),
            models.CheckConstraint(
                condition=Q(transport="stdio", url="") & ~Q(command="")
                | ~Q(transport="stdio") & Q(command="") & ~Q(url=""),
                name="upstream_program_or_address",
                violation_error_message="For stdio choose a command; for every other transport type a URL.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class UpstreamCredential(models.Model):
    """What one agent shows to one upstream. Stored encrypted, never shown, never another agent's."""

    upstream = models.ForeignKey(Upstream, on_delete=models.CASCADE, related_name="credentials")
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="upstream_credentials")
    sealed_secret = models.BinaryField(editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["upstream", "agent__name"]
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["upstream", "agent"], name="upstream_credential_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agent.name} at {self.upstream.name}"


class UpstreamHealth(models.Model):
    """How the last look at an upstream went. Not part of what calls depend on, so that a look changes no snapshot."""

    upstream = models.OneToOneField(Upstream, on_delete=models.CASCADE, related_name="health")
    is_up = models.BooleanField(default=False)
    checked_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True, help_text="When it last answered.")
    error = models.CharField(max_length=300, blank=True, default="")
    protocol_version = models.CharField(max_length=20, blank=True, default="")
    # What it calls itself: shown to operators as its own word.
    server_name = models.CharField(max_length=200, blank=True, default="")
    server_version = models.CharField(max_length=100, blank=True, default="")
    # What it offered and could not be read, a sentence each.
    unreadable = models.JSONField(default=list)

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"{self.upstream.name}: {'up' if self.is_up else 'down'}"


class UpstreamTool(models.Model):
    """What an upstream offers under one name: as it describes itself now, and what an operator accepted of it."""

    class Status(models.TextChoices):
        OFFERED = "offered", "Offered"
        ACCEPTED = "accepted", "Accepted"
        QUARANTINED = "quarantined", "Quarantined"
        DECLINED = "declined", "Declined"
        WITHDRAWN = "withdrawn", "Withdrawn"

    upstream = models.ForeignKey(Upstream, on_delete=models.PROTECT, related_name="tools")
    upstream_name = models.CharField(max_length=200, help_text="As the upstream calls it.")
    status = models.CharField(max_length=11, choices=Status.choices, default=Status.OFFERED)
    tool = models.OneToOneField(Tool, on_delete=models.PROTECT, null=True, related_name="upstream_tool")
    # As the upstream describes it now: name, title, description, input_schema, output_schema, annotations.
    declaration = models.JSONField()
    digest = models.CharField(max_length=64, help_text="SHA-256 over the canonical declaration.")
    accepted_digest = models.CharField(max_length=64, blank=True, default="")
    # What the checks at discovery found in the declaration: {check, where, detail, blocking}.
    findings = models.JSONField(default=list)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now, help_text="When it last became what it now is.")

    class Meta:
        ordering: ClassVar = ["upstream", "upstream_name"]
        default_permissions: ClassVar = ("view",)
        permissions: ClassVar = [("accept_upstreamtool", "Can accept and decline tools of upstream servers")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["upstream", "upstream_name"], name="upstream_tool_once"),
            models.CheckConstraint(
                condition=Q(status__in=["offered", "accepted", "quarantined", "declined", "withdrawn"]),
                name="upstream_tool_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["offered", "declined"]) | Q(tool__isnull=False), name="upstream_tool_has_a_tool"
            ),
            models.CheckConstraint(
                condition=~Q(status="accepted") | Q(digest=models.F("accepted_digest")),
                name="upstream_tool_accepted_as_it_is",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.upstream.name}.{self.upstream_name}"

    @property
    def is_callable(self) -> bool:
        return self.status == self.Status.ACCEPTED
