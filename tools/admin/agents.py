from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from telemetry.admin.acts import ActsAdmin, operator_of
from telemetry.wording import ago
from tools.actions.agents import (
    save_agent,
)
from tools.models import Agent, AgentKey, UpstreamCredential


class KeyInline(TabularInline):
    """An agent's keys, to look at; each leads to its own page."""

    model = AgentKey
    verbose_name_plural = "keys"
    extra = 0
    can_delete = False
    hide_title = True
    fields = readonly_fields = ("key_link", "state_label", "policy", "last_used", "expires_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Key")
    def key_link(self, key: AgentKey) -> SafeString:
        address = reverse("admin:tools_agentkey_change", args=[key.pk])
        return format_html('<a class="record-link" href="{}"><code>{}</code></a>', address, key.public_id)

    @display(description="State")
    def state_label(self, key: AgentKey) -> str:
        return key.state(timezone.now())

    @display(description="Last used")
    def last_used(self, key: AgentKey) -> str:
        return ago(key.last_used_at)


class UpstreamCredentialInline(TabularInline):
    """The upstream servers at which the agent has a credential of its own, to look at."""

    model = UpstreamCredential
    verbose_name_plural = "credentials at upstream servers"
    extra = 0
    can_delete = False
    hide_title = True
    fields = readonly_fields = ("upstream_link", "stored")

    def get_queryset(self, request: HttpRequest) -> QuerySet[UpstreamCredential]:
        found: QuerySet[UpstreamCredential] = super().get_queryset(request)
        return found.select_related("upstream").defer("sealed_secret")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("tools.view_upstream"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Upstream server")
    def upstream_link(self, credential: UpstreamCredential) -> SafeString:
        address = reverse("admin:tools_upstream_change", args=[credential.upstream_id])
        return format_html('<a class="record-link" href="{}">{}</a>', address, credential.upstream.name)

    @display(description="Stored")
    def stored(self, credential: UpstreamCredential) -> str:
        return ago(credential.changed_at)


@admin.register(Agent)
class AgentAdmin(ActsAdmin):
    subject_kind = "agent"
    list_display = ("name", "description_short", "owner", "created_at")
    list_select_related = ("owner",)
    list_filter = (("owner", RelatedDropdownFilter),)
    search_fields = ("name", "description", "owner__username")
    search_help_text = "Name, description or owner."
    fields = ("name", "owner", "description")
    inlines = (KeyInline, UpstreamCredentialInline)

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> tuple[str, ...]:
        return ("name",) if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Agent | None) -> Any:
        return self.inlines if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"owner": request.user.pk} | given

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        save_agent(obj, operator_of(request))

    @display(description="What it is for")
    def description_short(self, agent: Agent) -> str:
        line = agent.description.partition("\n")[0]
        return line if len(line) <= 80 else f"{line[:80]}…"
