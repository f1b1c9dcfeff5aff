"""Silences: made with an end, seen, and ended early. What they said stays on record."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from telemetry.admin.acts import Act, ActsAdmin, operator_of
from telemetry.admin.alert_words import matchers_words
from telemetry.admin.generic import AnyForm
from telemetry.alerts.silence_acts import create_silence, end_silence, silence_problems
from telemetry.clock import database_now
from telemetry.models import AlertInstance, AlertSilence
from telemetry.visible import visible
from telemetry.wording import left, moment, seen

USUAL = dt.timedelta(hours=2)
STATES = {"in force": "warning", "to come": "info", "over": "success"}


class SilenceForm(AnyForm):
    class Meta:
        model = AlertSilence
        fields = ("rule", *AlertSilence.MATCHERS, "starts_at", "ends_at", "why")
        help_texts = {
            "rule": "Only alerts of this rule. Empty: of any.",
            "service": "Only alerts with exactly this service, e.g. example-mcp. Empty: any.",
            "model": "Only this model, e.g. gpt-4o. Empty: any.",
            "tool_name": "Only this tool, e.g. create_ticket. Empty: any.",
            "agent": "Only this agent, e.g. billing-agent. Empty: any.",
            "starts_at": "In UTC, e.g. now.",
            "ends_at": "In UTC, at most 30 days later. What still fires then is told then.",
        }

    def clean(self) -> dict[str, Any]:
        """What the act would refuse is said here, before the database's own words for it."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            typed = AlertSilence(starts_at=found["starts_at"], ends_at=found["ends_at"])
            for field, problem in silence_problems(typed, database_now()).items():
                self.add_error(field, problem)
        return found


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AlertSilence]) -> QuerySet[AlertSilence]:
        now = database_now()
        chosen = {
            "in force": {"starts_at__lte": now, "ends_at__gt": now},
            "to come": {"starts_at__gt": now},
            "over": {"ends_at__lte": now},
        }.get(self.value() or "")
        return queryset.filter(**chosen) if chosen else queryset


@admin.register(AlertSilence)
class AlertSilenceAdmin(ActsAdmin):
    subject_kind = "silence"
    form = SilenceForm
    list_display = ("what", "state_label", "from_seen", "until", "why_seen", "created_by")
    list_filter = (StateFilter,)
    list_select_related = ("rule",)
    search_fields = ("why", "created_by", "rule__name", "tool_name", "service")
    search_help_text = "Why, by whom, rule, tool or service."
    actions_detail = ("end",)
    fieldsets = (
        ("Which alerts", {"fields": ("rule", *AlertSilence.MATCHERS)}),
        ("From when to when, and why", {"fields": ("starts_at", "ends_at", "why")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: AlertSilence | None = None) -> Any:
        if obj is None:
            return self.fieldsets
        return ((None, {"fields": ("what", "state_label", "starts_at", "ends_at", "why", "created_by", "now_silent")}),)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Rules are chosen here, not made or changed."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name == "rule":
            for may in ("can_add_related", "can_change_related", "can_view_related", "can_delete_related"):
                setattr(field.widget, may, False)
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: AlertSilence | None = None) -> tuple[str, ...]:
        return ("what", "state_label", "created_by", "now_silent") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A silence stays what was said; it is ended by an act."""
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        now = database_now().replace(second=0, microsecond=0)
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"starts_at": now, "ends_at": now + USUAL} | given

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        page: HttpResponse = super().add_view(request, form_url, buttons | (extra_context or {}))
        return page

    def save_model(self, request: HttpRequest, obj: AlertSilence, form: AnyForm, change: bool) -> None:
        create_silence(obj, operator_of(request), database_now())

    # ending it early

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        silence = self.get_object(request, str(object_id))
        if not isinstance(silence, AlertSilence) or _state(silence) == "over":
            return []
        offered: list[Any] = super().get_actions_detail(request, object_id)
        return offered

    def has_end_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("telemetry.change_alertsilence"))

    @action(
        description="End it now…",
        url_path="end",
        icon="notifications_active",
        variant=ActionVariant.PRIMARY,
        permissions=["end"],
    )
    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        silence = self.get_object(request, object_id)
        if not isinstance(silence, AlertSilence):
            raise Http404
        if request.method == "POST":
            if end_silence(silence, operator_of(request), database_now()):
                messages.success(request, "The silence is over. What it held back and still fires is told now.")
            else:
                messages.warning(request, "It was over already; nothing changed.")
            return redirect("admin:telemetry_alertsilence_changelist")
        act = Act(
            title="End this silence now",
            facts=(
                ("Which alerts", matchers_words(silence)),
                ("Why", visible(silence.why)),
                ("Until", moment(silence.ends_at)),
                ("By", silence.created_by),
            ),
            consequences=(
                "Alerts that it held back and that still fire are told within seconds.",
                "What fired and resolved meanwhile is not told.",
            ),
            button="End it",
        )
        return self.act_page(request, silence, act, forms.Form())

    @display(description="Which alerts")
    def what(self, silence: AlertSilence) -> str:
        return seen(matchers_words(silence), 120)

    @display(description="State", label=STATES)
    def state_label(self, silence: AlertSilence) -> str:
        return _state(silence)

    @display(description="From (UTC)", ordering="starts_at")
    def from_seen(self, silence: AlertSilence) -> SafeString:
        return moment(silence.starts_at)

    @display(description="Until (UTC)", ordering="ends_at")
    def until(self, silence: AlertSilence) -> SafeString:
        return format_html("{} ({})", moment(silence.ends_at), left(silence.ends_at))

    @display(description="Why")
    def why_seen(self, silence: AlertSilence) -> str:
        return seen(silence.why, 80)

    @display(description="Out of bounds and silent now")
    def now_silent(self, silence: AlertSilence) -> str:
        if _state(silence) != "in force":
            return "–"
        rows = AlertInstance.objects.open().select_related("rule")[:500]
        return ", ".join(seen(str(row), 100) for row in rows if silence.fits(row)) or "none"


def _state(silence: AlertSilence) -> str:
    now = database_now()
    if silence.ends_at <= now:
        return "over"
    return "in force" if silence.starts_at <= now else "to come"
