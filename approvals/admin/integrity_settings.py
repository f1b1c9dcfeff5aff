"""How proposals are scored, a tool a row: those without settings of their own have the defaults."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminTextareaWidget

from approvals.admin.signals_table import signal_rows, verdict_words
from approvals.baselines import LONGEST_PROMPT
from approvals.integrity import needs_outputs, score_for, source_of, weights_of
from approvals.integrity_acts import FIELDS, integrity_of, number_problems, save_integrity
from approvals.models import CandidateSource, IntegritySettings, PromptBaseline
from approvals.scoring import is_blocked, prompt_hash, signals_of
from telemetry.admin.acts import ActsAdmin, operator_of
from telemetry.admin.generic import AnyForm
from telemetry.wording import ago
from tools.admin.tags import BAD, GOOD
from tools.models import Tool

SAVE = "save"
_ASKED = {
    CandidateSource.MODEL: "the model endpoint is asked",
    CandidateSource.DEMO: "the demonstration's generator is asked, which is no model",
    CandidateSource.CALLER: "there are none, so only the prompt is compared with the approved one",
    None: "there are none, so only the prompt is compared with the approved one",
}
ALL_BLOCKED = "there are none, and every proposal is blocked: the tool's risk is high and no model endpoint is asked"
NOBODY_SENDS = (
    "Nobody's outputs count here: the caller may send none, and no model endpoint is asked. A proposal with outputs is "
    "refused with candidates_refused."
)
_TYPE_THEM = {
    CandidateSource.MODEL: "The door would ask the model endpoint for two outputs: type two to score them.",
    CandidateSource.DEMO: "The door would ask the demonstration's generator for two outputs: type two to score them.",
}
_SHORT = {
    CandidateSource.MODEL: "the model endpoint",
    CandidateSource.DEMO: "the demonstration's generator",
    CandidateSource.CALLER: "the caller",
    None: "nobody",
}


class IntegrityForm(AnyForm):
    """The settings, and below them a prompt and two outputs to try them with; those are stored nowhere."""

    prompt = forms.CharField(
        required=False,
        max_length=LONGEST_PROMPT,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="e.g. Transfer 100 to acct_123. It is compared with the approved prompt, where there is one.",
    )
    first_output = forms.CharField(
        required=False,
        max_length=LONGEST_PROMPT,
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
        help_text="e.g. I will transfer 100 to acct_123.",
    )
    second_output = forms.CharField(
        required=False,
        max_length=LONGEST_PROMPT,
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
        help_text="e.g. I would send 250 to acct_123. Leave both outputs empty to score the prompt alone.",
    )

    class Meta:
        model = IntegritySettings
        fields = FIELDS
        labels = {
            "output_instability_weight": "Weight of output instability",
            "numeric_variance_weight": "Weight of numeric variance",
            "prompt_drift_weight": "Weight of prompt drift",
            "candidate_source": "Where the two outputs come from",
        }
        help_texts = {
            "output_instability_weight": "How much it counts that the two outputs use different words, e.g. 0.5. "
            "Only the proportion of the three weights matters.",
            "numeric_variance_weight": "How much it counts that their numbers differ, e.g. 0.3. "
            "Between 100 and 150 the variance is 0.5.",
            "prompt_drift_weight": "How much it counts that the prompt is not the approved one, e.g. 0.2. "
            "Without an approved prompt it is left out.",
            "block_at": "A proposal with this score or a higher one is blocked, e.g. 0.45. Lower is stricter.",
            "candidate_source": "Automatic: the caller's where the tool's risk is not high, else the model endpoint's.",
        }

    def clean(self) -> dict[str, Any]:
        """What the constraints of the database would say of these numbers, in words."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            numbers = IntegritySettings(**{name: found[name] for name in FIELDS})
            for field, sentence in number_problems(numbers).items():
                self.add_error(field, sentence)
        return found

    def outputs(self) -> tuple[str, str] | None:
        pair = (self.cleaned_data["first_output"], self.cleaned_data["second_output"])
        return pair if any(pair) else None


@admin.register(IntegritySettings)
class IntegritySettingsAdmin(ActsAdmin):
    subject_kind = "integrity_settings"
    form = IntegrityForm

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Every tool has settings; nobody adds them."""
        return False

    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(
                "tool/<int:tool_id>/",
                self.admin_site.admin_view(self.tool_page),
                name="approvals_integritysettings_tool",
            )
        ]
        return [*pages, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Settings are known by their tool: one page, whether there is a row or not."""
        found = self.get_object(request, object_id)
        if not isinstance(found, IntegritySettings):
            raise Http404
        return redirect("admin:approvals_integritysettings_tool", found.tool_id)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        own = {row.tool_id: row for row in IntegritySettings.objects.all()}
        baselines = {row.tool_id: row for row in PromptBaseline.objects.in_force()}
        tools = Tool.objects.order_by("-requires_two_phase", "name")
        context = self._page_context(request, "How proposals are scored") | {
            "rows": [_row(tool, own.get(tool.pk), baselines.get(tool.pk)) for tool in tools],
        }
        return TemplateResponse(request, "approvals/integrity_list.html", context)

    def tool_page(self, request: HttpRequest, tool_id: int) -> HttpResponse:
        """One tool's settings. POST tries them, or with `save` stores them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        tool = Tool.objects.filter(pk=tool_id).first()
        if tool is None:
            raise Http404
        chosen = integrity_of(tool)
        # With change=False even those who may only look can try numbers.
        form = self.get_form(request, change=False)(request.POST if request.method == "POST" else None, instance=chosen)
        tried = None
        baseline = PromptBaseline.objects.in_force().filter(tool=tool).first()
        if request.method == "POST" and form.is_valid():
            if SAVE not in request.POST:
                tried = _tried(form, baseline)
            elif self._save(request, form):
                return redirect("admin:approvals_integritysettings_tool", tool.pk)
        context = self._page_context(request, f"How proposals of {tool.name} are scored") | {
            "original": chosen,
            "form": form,
            "tool": tool,
            "baseline": baseline,
            "tried": tried,
            "standing": _standing(integrity_of(tool).candidate_source, tool),
            "is_default": integrity_of(tool).pk is None,
            "may_change": self.has_change_permission(request),
        }
        return TemplateResponse(request, "approvals/integrity_settings.html", context)

    def _save(self, request: HttpRequest, form: Any) -> bool:
        if not self.has_change_permission(request):
            raise PermissionDenied
        try:
            changed = save_integrity(form.instance, operator_of(request))
        except ValidationError as refused:
            form.add_error(None, refused)
            return False
        if changed:
            messages.success(request, f"The next proposal of {form.instance.tool.name} is scored by these settings.")
        else:
            messages.info(request, "Nothing was changed.")
        return True

    def _page_context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "media": self.media}


def _tried(form: Any, baseline: PromptBaseline | None) -> dict[str, Any]:
    """What the numbers that were typed say of the texts that were typed, by the door's own rule. Nothing is stored."""
    chosen: IntegritySettings = form.instance
    risk, outputs = chosen.tool.risk, form.outputs()
    senders = [source_of(chosen.candidate_source, risk, sent=sent) for sent in (True, False)]
    refused = outputs is not None and senders == [None, None]
    digest = prompt_hash(form.cleaned_data["prompt"])
    signals = signals_of(None if refused else outputs, digest, baseline.prompt_hash if baseline else None)
    weights = weights_of(chosen)
    score = score_for(risk, signals, weights)
    blocked = is_blocked(score, chosen.block_at)
    words = verdict_words(signals, weights, score, chosen.block_at, blocked=blocked)
    asked = f" {_TYPE_THEM[senders[1]]}" if outputs is None and senders[1] in _TYPE_THEM else ""
    return {
        "signals": signal_rows(signals, weights, score),
        "score": score,
        "words": NOBODY_SENDS if refused else words + asked,
        "headline": "It would be refused" if refused else f"It would be {'blocked' if blocked else 'allowed'}",
        "tone": BAD if blocked else GOOD,
    }


def _standing(source: str, tool: Tool) -> str:
    """What the source in force comes to for this tool, here."""
    with_outputs = source_of(source, tool.risk, sent=True)
    without = source_of(source, tool.risk, sent=False)
    sent = "are scored" if with_outputs == CandidateSource.CALLER else "are refused"
    then = ALL_BLOCKED if without is None and needs_outputs(tool.risk) else _ASKED[without]
    return f"Outputs that the caller sends {sent}. Where it sends none, {then}."


def _row(tool: Tool, own: IntegritySettings | None, baseline: PromptBaseline | None) -> dict[str, Any]:
    chosen = own or IntegritySettings(tool=tool)
    senders = [source_of(chosen.candidate_source, tool.risk, sent=sent) for sent in (True, False)]
    words = [_SHORT[source] for source in dict.fromkeys(senders)]
    weights = weights_of(chosen)
    return {
        "tool": tool,
        "is_default": own is None,
        "weights": f"{weights.output_instability:g} / {weights.numeric_variance:g} / {weights.prompt_drift:g}",
        "block_at": f"{chosen.block_at:g}",
        "outputs": ", else ".join(words),
        "commit_within_s": chosen.commit_within_s,
        "baseline": f"approved {ago(baseline.approved_at)}" if baseline else "",
    }
