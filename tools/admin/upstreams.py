"""Upstream servers: where they are, what they are shown, how they do."""

import copy
from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget

from telemetry.admin.acts import operator_of
from telemetry.admin.generic import AnyForm, AnyFormSet
from telemetry.visible import visible
from telemetry.wording import ago, seen
from tools.actions.upstreams import save_upstream, upstream_problems
from tools.admin.acting import PAGE_STYLE
from tools.admin.tags import BAD, CAREFUL, GOOD, tags
from tools.admin.upstream_credentials import CredentialPages
from tools.admin.upstream_looks import LookPage, may_look
from tools.admin.upstream_words import TRANSPORTS, health_of, state_of, tools_of, where_of
from tools.models import Upstream, UpstreamTool

Transport, Credential, Status = Upstream.Transport, Upstream.Credential, UpstreamTool.Status
_WHERE = (
    ("How it is reached", {"fields": ("transport",)}),
    (None, {"fields": ("url",), "classes": ["for-address"]}),
    (None, {"fields": ("command",), "classes": ["for-program"]}),
)
_LIMITS = ("Limits", {"fields": ("timeout_s", "mask_secrets", "enabled")})
_NAME = (None, {"fields": ("name", "description")})


class UpstreamForm(AnyForm):
    """What operators say of an upstream. The secret goes in and never comes out."""

    command = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget())
    secret = forms.CharField(
        max_length=4000, required=False, strip=True, widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"})
    )

    class Meta:
        model = Upstream
        fields = ("name", *(name for name in Upstream.OPERATOR_FIELDS))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "command" in self.fields:
            self._offer_commands()
        if "secret" in self.fields:
            self.fields["secret"].help_text = (
                "A credential is stored. Leave this empty to keep it; what you type replaces it. It is never shown."
                if self.instance.sealed_secret
                else "e.g. Bearer 3f9c… It is stored encrypted and never shown again. Where each agent has its own, "
                "this one only asks for the list of tools, and may be empty."
            )

    def _offer_commands(self) -> None:
        names, stored = sorted(settings.MCP_COMMANDS), self.instance.command
        choices = [("", "Choose a program" if names else "None is there yet"), *((name, name) for name in names)]
        if stored and stored not in names:
            choices.append((stored, f"{stored} (the settings hold it no more)"))
        field = self.fields["command"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices
        field.help_text = (
            "Programs are named in OBSERVATORY_MCP_COMMANDS by whoever runs this installation; nothing else is started."
            if names
            else "OBSERVATORY_MCP_COMMANDS names no program yet. Whoever runs this installation sets it, "
            'e.g. {"time": ["uvx", "mcp-server-time"]}, and starts it again.'
        )

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        # What does not belong to the transport is not asked for, so nobody is told off for it.
        if found.get("transport") == Transport.STDIO:
            found["url"] = ""
        elif "transport" in found:
            found["command"] = ""
        if found.get("credential") == Credential.NONE:
            found["credential_name"] = ""
        if {"transport", "credential"} <= set(found) and not self.errors:
            typed = copy.copy(self.instance)
            for name in Upstream.OPERATOR_FIELDS:
                setattr(typed, name, found.get(name, getattr(typed, name)))
            typed.name = found.get("name", typed.name)
            for field, problem in upstream_problems(typed, secret=found.get("secret") or None).items():
                self.add_error(field, problem)
        return found

    def validate_constraints(self) -> None:
        """Said above in words; the database says the same in save_upstream()."""


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in ("up", "down", "never looked at", "off")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Upstream]) -> QuerySet[Upstream]:
        looked_at = Q(health__checked_at__isnull=False)
        states = {
            "up": Q(enabled=True, health__is_up=True),
            "down": Q(enabled=True, health__is_up=False) & looked_at,
            "never looked at": Q(enabled=True) & ~looked_at,
            "off": Q(enabled=False),
        }
        chosen = states.get(self.value() or "")
        return queryset.filter(chosen) if chosen is not None else queryset


@admin.register(Upstream)
class UpstreamAdmin(LookPage, CredentialPages):
    subject_kind = "upstream"
    form = UpstreamForm
    list_display = ("name", "transport_short", "where", "state_label", "tools_label", "looked")
    list_filter = (
        StateFilter,
        ("transport", ChoicesDropdownFilter),
        ("credential", ChoicesDropdownFilter),
    )
    list_select_related = ("health",)
    search_fields = ("name", "description", "url", "command")
    search_help_text = "Name, description, address or program."
    change_form_outer_before_template = "admin/tools/upstream/state.html"
    change_form_outer_after_template = "admin/tools/upstream/credentials.html"

    class Media:
        css = {"all": [PAGE_STYLE, "observatory/upstreams.css"]}
        js = ["observatory/upstream.js"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Upstream]:
        found: QuerySet[Upstream] = super().get_queryset(request)
        return found.annotate(
            **{f"{status}_count": Count("tools", filter=Q(tools__status=status)) for status in Status.values}
        )

    def get_fieldsets(self, request: HttpRequest, obj: Upstream | None = None) -> Any:
        may_change = self.has_change_permission(request, obj) if obj else True
        shown = ("credential_name", "secret") if may_change else ("credential_name", "is_stored")
        credential = (
            ("What it is shown", {"fields": ("credential",)}),
            (None, {"fields": shown, "classes": ["for-credential"]}),
        )
        return (_NAME, *_WHERE, *credential, _LIMITS)

    def get_readonly_fields(self, request: HttpRequest, obj: Upstream | None = None) -> Sequence[str]:
        return ("name", "is_stored") if obj else ()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name == "description":
            field.widget.attrs["rows"] = 2
        return field

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        page: HttpResponse = super().add_view(
            request, form_url, {"show_save_and_continue": False} | (extra_context or {})
        )
        return page

    def get_urls(self) -> list[URLPattern]:
        pages = (
            ("look/", self.look_page, "look"),
            ("credentials/store/", self.store_page, "store_credential"),
            ("credentials/<int:credential_id>/remove/", self.remove_page, "remove_credential"),
        )
        own = [
            path(f"<int:upstream_id>/{route}", self.admin_site.admin_view(view), name=f"tools_upstream_{name}")
            for route, view, name in pages
        ]
        return [*own, *super().get_urls()]

    def save_related(self, request: HttpRequest, form: AnyForm, formsets: list[AnyFormSet], change: bool) -> None:
        save_upstream(form.instance, operator_of(request), secret=form.cleaned_data.get("secret") or None)

    def response_add(self, request: HttpRequest, obj: Upstream, post_url_continue: str | None = None) -> HttpResponse:
        """A new upstream offers nothing yet: looking is what comes next."""
        messages.success(request, f"{obj} is made known. Nobody has looked at what it offers yet.")
        return redirect("admin:tools_upstream_look", obj.pk)

    def response_post_save_change(self, request: HttpRequest, obj: Upstream) -> HttpResponse:
        return redirect("admin:tools_upstream_change", obj.pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        upstream = self.get_object(request, object_id)
        found = _page_context(request, upstream) if isinstance(upstream, Upstream) else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, found | (extra_context or {}))
        return response

    @display(description="Transport", ordering="transport")
    def transport_short(self, upstream: Upstream) -> str:
        return TRANSPORTS[Transport(upstream.transport)]

    @display(description="Where")
    def where(self, upstream: Upstream) -> str:
        return seen(upstream.url, 60) if upstream.url else where_of(upstream)

    @display(description="State")
    def state_label(self, upstream: Upstream) -> Any:
        return state_of(upstream).tag

    @display(description="Tools")
    def tools_label(self, upstream: Upstream) -> Any:
        return tags(_counts(upstream), nothing="none")

    @display(description="Last looked", ordering="health__checked_at")
    def looked(self, upstream: Upstream) -> str:
        health = health_of(upstream)
        return ago(health.checked_at if health else None)

    @display(description="Credential stored")
    def is_stored(self, upstream: Upstream) -> str:
        return "yes; it is never shown" if upstream.sealed_secret else "no"


def _counts(upstream: Upstream) -> list[tuple[str, str]]:
    """How many of its tools wait for a decision, and how many can be called."""
    words = (
        (Status.QUARANTINED, "changed", BAD),
        (Status.OFFERED, "offered", CAREFUL),
        (Status.ACCEPTED, "accepted", GOOD),
    )
    counted = ((getattr(upstream, f"{status}_count", 0), word, tone) for status, word, tone in words)
    return [(f"{number} {word}", tone) for number, word, tone in counted if number]


def _page_context(request: HttpRequest, upstream: Upstream) -> dict[str, Any]:
    """What stands around the form: how the upstream does, what comes next, whose credentials are stored."""
    health = health_of(upstream)
    numbers = {status: getattr(upstream, f"{status}_count", 0) for status in Status}
    counts = [
        {"label": status.label, "count": numbers[status], "link": tools_of(upstream, status)}
        for status in Status
        if numbers[status]
    ]
    return {
        "upstream": upstream,
        "state": state_of(upstream),
        "health": health,
        "calls_itself": visible(f"{health.server_name} {health.server_version}".strip()) if health else "",
        "error": visible(health.error) if health else "",
        "unreadable": list(health.unreadable) if health else [],
        "counts": counts,
        "all_tools": tools_of(upstream),
        "waiting": numbers[Status.OFFERED] + numbers[Status.QUARANTINED],
        "may_look": may_look(request),
        "may_change": request.user.has_perm("tools.change_upstream"),
        "wants_own": upstream.credential == Credential.PER_AGENT,
        "credentials": upstream.credentials.select_related("agent"),
    }
