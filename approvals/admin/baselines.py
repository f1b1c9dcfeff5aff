from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import F, Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from approvals.baselines import LONGEST_PROMPT, approve_baseline, masked, retire_baseline
from approvals.models import PromptBaseline
from approvals.scoring import prompt_hash
from telemetry.admin.acts import Act, ActsAdmin, ReasonForm, operator_of
from telemetry.admin.ended_filter import EndedFilter
from telemetry.admin.generic import AnyForm
from telemetry.visible import original, visible
from telemetry.wording import ago, seen
from tools.models import Tool

AGREED = "agreed"


def in_force_words(tool: Tool) -> str:
    """The tool's baseline of now, for a page that says what it replaces."""
    before = PromptBaseline.objects.in_force().filter(tool=tool).first()
    if before is None:
        return "none"
    return f"approved {ago(before.approved_at)} by {before.approved_by}: {seen(original(before.prompt_masked), 160)}"


class BaselineForm(AnyForm):
    prompt = forms.CharField(
        max_length=LONGEST_PROMPT,
        widget=UnfoldAdminTextareaWidget({"rows": 6}),
        help_text="As the agent sends it, e.g. Transfer the amount of the invoice to its account. "
        "White space and capitals make no difference.",
    )

    class Meta:
        model = PromptBaseline
        fields = ("tool", "prompt", "note")
        help_texts = {"note": "Why, or where it is from, e.g. Runbook of payments, version 3."}

    def clean_prompt(self) -> str:
        prompt: str = self.cleaned_data["prompt"]
        tool = self.cleaned_data.get("tool")
        if tool and PromptBaseline.objects.in_force().filter(tool=tool, prompt_hash=prompt_hash(prompt)).exists():
            raise forms.ValidationError("This prompt is in force already.")
        return prompt


class InForceFilter(EndedFilter):
    ended_at = "retired_at"
    words = (("in_force", "in force"), ("retired", "retired"))


@admin.register(PromptBaseline)
class PromptBaselineAdmin(ActsAdmin):
    subject_kind = "prompt_baseline"
    form = BaselineForm
    list_display = ("tool", "state_label", "prompt_short", "approved", "approved_by", "retired", "note")
    list_select_related = ("tool",)
    list_filter = (InForceFilter, ("tool", RelatedDropdownFilter))
    search_fields = ("tool__name", "prompt_hash")
    search_help_text = "Tool, or a prompt's hash."
    ordering = (F("retired_at").desc(nulls_first=True), "-approved_at")
    actions_detail = ("retire",)
    add_fieldsets = ((None, {"fields": ("tool", "prompt", "note")}),)
    fieldsets = (
        (None, {"fields": ("tool", "state_label", "prompt_masked", "prompt_hash", "note")}),
        ("When and who", {"fields": ("approved_at", "approved_by", "retired_at")}),
    )
    readonly_fields = ("state_label", "prompt_masked", "prompt_hash", "approved_at", "approved_by", "retired_at")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    # Approving: the form, then a page that says what it will replace, then the act.

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and AGREED not in request.POST and self.has_add_permission(request):
            form = self.get_form(request, None)(request.POST)
            if form.is_valid():
                return self._confirmation(request, form)
        words = {"title": "Approve a prompt", "show_save_and_add_another": False, "show_save_and_continue": False}
        page: HttpResponse = super().add_view(request, form_url, words | (extra_context or {}))
        return page

    def _confirmation(self, request: HttpRequest, form: Any) -> HttpResponse:
        tool, prompt = form.cleaned_data["tool"], form.cleaned_data["prompt"]
        agreed = self.get_form(request, None)(initial=form.cleaned_data | {"tool": tool.pk})
        for field in agreed.fields.values():
            field.widget = forms.HiddenInput()
        agreed.fields[AGREED] = forms.CharField(initial="1", widget=forms.HiddenInput())
        act = approval_act(tool, prompt_hash(prompt), masked(prompt), form.cleaned_data["note"])
        return self.act_page(request, None, act, agreed)

    def save_model(self, request: HttpRequest, obj: PromptBaseline, form: Any, change: bool) -> None:
        approved = approve_baseline(
            obj.tool, form.cleaned_data["prompt"], obj.note, operator_of(request), timezone.now()
        )
        obj.pk = approved.pk

    def response_add(
        self, request: HttpRequest, obj: PromptBaseline, post_url_continue: str | None = None
    ) -> HttpResponse:
        messages.success(request, f"Approved: proposals of {obj.tool.name} are compared with this prompt from now on.")
        return redirect("admin:approvals_promptbaseline_change", obj.pk)

    # retiring

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        baseline = self.get_object(request, str(object_id))
        if not baseline or baseline.retired_at:
            return []
        offered: list[Any] = super().get_actions_detail(request, object_id)
        return offered

    def has_retire_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(self.has_add_permission(request))

    @action(
        description="Retire",
        url_path="retire",
        icon="event_busy",
        variant=ActionVariant.DANGER,
        permissions=["retire"],
    )
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        baseline = self.get_object(request, object_id)
        if not isinstance(baseline, PromptBaseline):
            raise Http404
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            if retire_baseline(baseline, operator_of(request), timezone.now(), form.cleaned_data["reason"]):
                messages.success(request, f"Retired: {baseline.tool.name} has no approved prompt now.")
            else:
                messages.warning(request, "It was retired already; nothing changed.")
            return redirect("admin:approvals_promptbaseline_change", baseline.pk)
        act = Act(
            title=f"Retire the approved prompt of {baseline.tool.name}",
            facts=(
                ("Tool", baseline.tool.name),
                ("Approved", f"{ago(baseline.approved_at)}, by {baseline.approved_by}"),
                ("SHA-256", baseline.prompt_hash),
            ),
            consequences=(
                "Prompt drift is left out of the score of the next proposals: any prompt will do.",
                "Where there are no outputs to compare either, there is no signal left, and every proposal is blocked.",
                "It stays on record; the same prompt can be approved again.",
            ),
            button="Retire",
            danger=True,
            block_title="Prompt, masked",
            block=baseline.prompt_masked,
        )
        return self.act_page(request, baseline, act, form)

    # columns

    @display(description="State", label={"in force": "success", "retired": ""})
    def state_label(self, baseline: PromptBaseline) -> str:
        return "retired" if baseline.retired_at else "in force"

    @display(description="Prompt, masked")
    def prompt_short(self, baseline: PromptBaseline) -> str:
        return seen(original(baseline.prompt_masked), 60)

    @display(description="Since", ordering="approved_at")
    def approved(self, baseline: PromptBaseline) -> str:
        return ago(baseline.approved_at)

    @display(description="Retired", ordering="retired_at")
    def retired(self, baseline: PromptBaseline) -> str:
        return ago(baseline.retired_at) if baseline.retired_at else ""


def approval_act(tool: Tool, digest: str, shown: str, note: str = "", *, whole: bool = False) -> Act:
    """What approving this prompt comes to. Shown is what will be stored of it, or the whole of it."""
    return Act(
        title=f"Approve a prompt for {tool.name}",
        facts=(
            ("Tool", tool.name),
            ("In force now", in_force_words(tool)),
            ("SHA-256 of the new one", digest),
            *((("Note", visible(note)),) if note else ()),
        ),
        consequences=(
            f"The next proposal of {tool.name} with exactly this prompt has prompt drift 0; with another, or none, 1.",
            "The one in force is retired; it stays on record.",
            "Proposals that are scored already keep their score.",
        ),
        button="Approve the prompt",
        block_title="Prompt, whole; it is stored masked" if whole else "Prompt, as it will be stored: masked",
        block=shown,
    )
