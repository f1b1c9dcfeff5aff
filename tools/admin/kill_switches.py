import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import F, Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from telemetry.admin.acts import Act, ActsAdmin, operator_of
from telemetry.admin.ended_filter import EndedFilter
from telemetry.admin.generic import AnyForm
from telemetry.models import Span
from telemetry.visible import visible
from telemetry.wording import ago
from tools.actions.switches import engage, release
from tools.models import KillSwitch

HOUR = dt.timedelta(hours=1)
AGREED = "agreed"


def calls_since(switch: KillSwitch, moment: dt.datetime) -> int:
    """How many calls the switch would have frozen since then."""
    calls = Span.objects.tool_calls().since(moment)
    if switch.agent:
        calls = calls.filter(agent=switch.agent.name)
    elif switch.tool:
        calls = calls.filter(tool_name=switch.tool.name)
    return calls.count()


def _whose(switch: KillSwitch) -> str:
    if switch.agent:
        return f"Every call by {switch.agent.name}, with any of its keys,"
    if switch.tool:
        return f"Every call of {switch.tool.name}, by any agent,"
    return "Every call, by any agent, of any tool,"


class EngageForm(AnyForm):
    class Meta:
        model = KillSwitch
        fields = ("scope", "agent", "tool", "reason")
        help_texts = {
            "agent": "Only for “One agent”.",
            "tool": "Only for “One tool”.",
        }

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        scope = cleaned.get("scope")
        for name, wanted in (("agent", KillSwitch.Scope.AGENT), ("tool", KillSwitch.Scope.TOOL)):
            if scope == wanted and not cleaned.get(name):
                self.add_error(name, f"Choose the {name}.")
            if scope and scope != wanted and cleaned.get(name):
                self.add_error(name, f"“{KillSwitch.Scope(scope).label}” names no {name}.")
        same = {"scope": scope, "agent": cleaned.get("agent"), "tool": cleaned.get("tool")}
        if scope and not self.errors and KillSwitch.objects.engaged().filter(**same).exists():
            self.add_error("scope", "It is frozen already.")
        return cleaned

    def validate_constraints(self) -> None:
        """Said above in words; the database says the same in engage()."""


class AgreementForm(forms.Form):
    """Nothing to fill in: to send it is to agree."""


class EngagedFilter(EndedFilter):
    ended_at = "released_at"
    words = (("engaged", "engaged"), ("released", "released"))


@admin.register(KillSwitch)
class KillSwitchAdmin(ActsAdmin):
    subject_kind = "kill_switch"
    list_display = ("what", "state_label", "reason", "engaged", "engaged_by", "released_at", "released_by")
    list_select_related = ("agent", "tool")
    list_filter = (EngagedFilter, ("scope", ChoicesDropdownFilter))
    search_fields = ("reason", "agent__name", "tool__name")
    search_help_text = "Reason, agent or tool."
    ordering = (F("released_at").desc(nulls_first=True), "-engaged_at")
    form = EngageForm
    actions_detail = ("release",)
    add_fieldsets = ((None, {"fields": ("scope", "agent", "tool", "reason")}),)
    fieldsets = (
        (None, {"fields": ("what", "state_label", "reason")}),
        ("When and who", {"fields": ("engaged_at", "engaged_by", "released_at", "released_by")}),
    )
    readonly_fields = ("what", "state_label", "engaged", "engaged_at", "engaged_by", "released_at", "released_by")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    # Engaging: the form, then a page that says what it will freeze, then the act.

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and AGREED not in request.POST and self.has_add_permission(request):
            form = self.get_form(request, None)(request.POST)
            if form.is_valid():
                return self._confirmation(request, form)
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        page: HttpResponse = super().add_view(request, form_url, buttons | (extra_context or {}))
        return page

    def _confirmation(self, request: HttpRequest, form: Any) -> HttpResponse:
        switch: KillSwitch = form.instance
        agreed = self.get_form(request, None)(initial=form.cleaned_data)
        for field in agreed.fields.values():
            field.widget = forms.HiddenInput()
        agreed.fields[AGREED] = forms.CharField(initial="1", widget=forms.HiddenInput())
        act = Act(
            title=f"Freeze: {switch}",
            facts=(
                ("To be frozen", str(switch)),
                ("Reason", visible(switch.reason)),
                ("Calls in the last hour", calls_since(switch, timezone.now() - HOUR)),
            ),
            consequences=(
                f"{_whose(switch)} is answered 423 from the next one on, in every process within a second.",
                "Calls that run now end by themselves; what was approved and has not run, will not run.",
                "It stays frozen until somebody releases it.",
            ),
            button="Freeze",
            danger=True,
        )
        return self.act_page(request, switch, act, agreed)

    def save_model(self, request: HttpRequest, obj: KillSwitch, form: Any, change: bool) -> None:
        engage(obj, operator_of(request))

    def response_add(self, request: HttpRequest, obj: KillSwitch, post_url_continue: str | None = None) -> HttpResponse:
        messages.warning(request, f"Frozen: {obj}. Calls answer 423 from now on.")
        return redirect("admin:tools_killswitch_changelist")

    # releasing

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        switch = self.get_object(request, str(object_id))
        if not switch or switch.released_at:
            return []
        offered: list[Any] = super().get_actions_detail(request, object_id)
        return offered

    def has_release_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("tools.release_killswitch"))

    @action(
        description="Release",
        url_path="release",
        icon="play_arrow",
        variant=ActionVariant.PRIMARY,
        permissions=["release"],
    )
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        switch = self.get_object(request, object_id)
        if not isinstance(switch, KillSwitch):
            raise Http404
        if request.method == "POST":
            if release(switch, operator_of(request), timezone.now()):
                messages.success(request, f"Released: {switch}. Calls are decided by policy again.")
            else:
                messages.warning(request, f"{switch} was released already; nothing changed.")
            return redirect("admin:tools_killswitch_changelist")
        act = Act(
            title=f"Release: {switch}",
            facts=(
                ("Frozen", str(switch)),
                ("Reason", visible(switch.reason)),
                ("Since", f"{ago(switch.engaged_at)}, by {switch.engaged_by}"),
            ),
            consequences=(
                "Calls are decided by policy again, in every process within a second.",
                "Approved actions that were stopped by the freeze do not run by themselves.",
            ),
            button="Release",
        )
        return self.act_page(request, switch, act, AgreementForm())

    @display(description="What")
    def what(self, switch: KillSwitch) -> str:
        return str(switch)

    @display(description="State", label={"frozen": "danger", "released": "success"})
    def state_label(self, switch: KillSwitch) -> str:
        return "released" if switch.released_at else "frozen"

    @display(description="Engaged", ordering="engaged_at")
    def engaged(self, switch: KillSwitch) -> str:
        return ago(switch.engaged_at)
