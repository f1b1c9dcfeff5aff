from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from tools.models.agent import Agent
from tools.models.tool import Tool


class KillSwitchQuerySet(models.QuerySet["KillSwitch"]):
    def engaged(self) -> "KillSwitchQuerySet":
        return self.filter(released_at=None)

    def touching(self, *, agent_id: int, tool_id: int) -> "KillSwitchQuerySet":
        """Switches that freeze a call of this tool by this agent."""
        return self.filter(Q(scope=KillSwitch.Scope.EVERYTHING) | Q(agent_id=agent_id) | Q(tool_id=tool_id))


class KillSwitch(models.Model):
    """A freeze of one agent, one tool, or everything: calls answer 423 until it is released."""

    class Scope(models.TextChoices):
        EVERYTHING = "everything", "Everything"
        AGENT = "agent", "One agent"
        TOOL = "tool", "One tool"

    scope = models.CharField(max_length=10, choices=Scope.choices)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, null=True, blank=True, related_name="kill_switches")
    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, null=True, blank=True, related_name="kill_switches")
    reason = models.CharField(
        max_length=300, help_text="Why; agents and the audit trail see it. e.g. “INC-7: runaway refunds”."
    )
    engaged_at = models.DateTimeField(default=timezone.now, editable=False)
    engaged_by = models.CharField(max_length=150, editable=False)
    released_at = models.DateTimeField(null=True, editable=False)
    released_by = models.CharField(max_length=150, blank=True, default="", editable=False)

    objects = KillSwitchQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-engaged_at"]
        verbose_name_plural = "kill switches"
        default_permissions: ClassVar = ("add", "view")
        permissions: ClassVar = [("release_killswitch", "Can release kill switches")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(scope="everything", agent=None, tool=None)
                | Q(scope="agent", agent__isnull=False, tool=None)
                | Q(scope="tool", agent=None, tool__isnull=False),
                name="kill_switch_names_its_target",
            ),
            models.UniqueConstraint(
                fields=["scope"], condition=Q(scope="everything", released_at=None), name="one_global_switch"
            ),
            models.UniqueConstraint(
                fields=["agent"], condition=Q(scope="agent", released_at=None), name="one_switch_an_agent"
            ),
            models.UniqueConstraint(
                fields=["tool"], condition=Q(scope="tool", released_at=None), name="one_switch_a_tool"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display()}: {self.target}" if self.target else self.get_scope_display()

    @property
    def target(self) -> str:
        return str(self.agent or self.tool or "")
