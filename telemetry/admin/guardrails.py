"""How strict guardrails are: one page for the one row. What makes them laxer is said, and asked for once more."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from telemetry.admin.acts import ActsAdmin, events_about, operator_of
from telemetry.admin.generic import AnyForm
from telemetry.canonical import canonical_bytes, digest
from telemetry.detectors.registry import BUILT_IN, by_name
from telemetry.guardrail_acts import FIELDS, MODE_FIELDS, differences, laxer, save_settings, settings_in_force
from telemetry.models import GuardrailSettings, RemoteDetector
from telemetry.session_words import CATEGORIES, mode_words
from telemetry.wording import ago

PAGE = "admin:telemetry_guardrailsettings_changelist"
_SPACY_MODELS = "en_core_web_"
_BOUND = "e.g. {}: a finding with a higher score is a violation. 0: any finding; 1: none ever."


class GuardrailForm(AnyForm):
    """The settings; detectors are ticked where they are asked."""

    asked = forms.MultipleChoiceField(
        label="Built-in detectors that are asked",
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="e.g. without toxicity nobody looks for insults, and no session can have it looked for.",
    )

    class Meta:
        model = GuardrailSettings
        fields = (*MODE_FIELDS, *GuardrailSettings.THRESHOLDS)
        labels = {
            "pii": "Personal data",
            "secrets": "Secrets",
            "injection": "Injection and jailbreaks",
            "toxicity": "Toxicity",
            "custom": "Your own detectors",
        }
        help_texts = {
            "sessions_mode": "At least so strict is every session; one may ask for more. e.g. mixed: a step with a "
            "card number in it is refused, one with an insult is recorded.",
            "calls_mode": "For calls that name no session, by REST and MCP. e.g. advisory: each violation is in the "
            "audit trail, and every call goes through.",
            "pii": f"Mail addresses, accounts, cards, phones, national ids. {_BOUND.format(0.5)}",
            "secrets": f"Keys, tokens, passwords. {_BOUND.format(0.5)}",
            "injection": f"Texts that instruct the model, as “ignore your instructions”. {_BOUND.format(0.6)}",
            "toxicity": f"Insults and threats. {_BOUND.format(0.8)}",
            "custom": f"What remote detectors of the category “Your own” answer. {_BOUND.format(0.5)}",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        off = set(self.instance.switched_off)
        asked = self.fields["asked"]
        assert isinstance(asked, forms.MultipleChoiceField)
        asked.choices = [(one.name, one.name) for one in BUILT_IN]
        asked.initial = [one.name for one in BUILT_IN if one.name not in off]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's own hook, which its stubs leave out
        if "asked" in self.cleaned_data:
            asked = set(self.cleaned_data["asked"])
            gone = [name for name in self.instance.switched_off if name not in by_name()]
            self.instance.switched_off = sorted([*gone, *(name for name in by_name() if name not in asked)])


@admin.register(GuardrailSettings)
class GuardrailSettingsAdmin(ActsAdmin):
    subject_kind = "guardrails"
    form = GuardrailForm

    class Media:
        css = {"all": ["observatory/policy.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """There is one row, and everybody has it."""
        return False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect(PAGE)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The settings. POST saves them; what is laxer only with `agreed`, which names exactly this change."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        may_change = self.has_change_permission(request)
        before, row = settings_in_force(), settings_in_force()
        # With change=False even those who may only look are shown the fields.
        form = self.get_form(request, change=False)(request.POST if request.method == "POST" else None, instance=row)
        asks: dict[str, Any] | None = None
        if request.method == "POST":
            if not may_change:
                raise PermissionDenied
            if form.is_valid():
                asks = self._asks(request, before, form.instance)
                if asks is None and self._saved(request, before, form):
                    return redirect(PAGE)
        context = {
            **self.admin_site.each_context(request),
            "title": "Guardrails",
            "opts": self.opts,
            "media": self.media + form.media,
            "form": form,
            "asks": asks,
            "may_change": may_change,
            "modes": [form[name] for name in MODE_FIELDS],
            "thresholds": [form[name] for name in GuardrailSettings.THRESHOLDS],
            "detectors": _detectors(before),
            "remote": RemoteDetector.objects.order_by("name")
            if request.user.has_perm("telemetry.view_remotedetector")
            else None,
            "changed": ago(before.changed_at) if GuardrailSettings.objects.exists() else "",
            "history": events_about(self.subject_kind, "1")
            if request.user.has_perm("telemetry.view_auditevent")
            else "",
        }
        return TemplateResponse(request, "telemetry/guardrail_settings.html", context)

    def _asks(
        self, request: HttpRequest, before: GuardrailSettings, wanted: GuardrailSettings
    ) -> dict[str, Any] | None:
        """What has to be agreed to before these are saved; None where nothing is laxer, or it was agreed to."""
        names = laxer(before, wanted)
        change = _digest_of(before, wanted)
        if not names or request.POST.get("agreed") == change:
            return None
        changed = differences(before, wanted)
        sentences = [(name in names, _sentence(name, *pair)) for name, pair in changed.items()]
        return {"agreed": change, "sentences": sorted(sentences, key=lambda pair: not pair[0])}

    def _saved(self, request: HttpRequest, before: GuardrailSettings, form: Any) -> bool:
        try:
            changed = save_settings(before, form.instance, operator_of(request), timezone.now())
        except ValidationError as refused:
            form.add_error(None, refused)
            return False
        if changed:
            messages.success(request, "Saved: in force in every process within a second.")
        else:
            messages.info(request, "Nothing was changed.")
        return True


def _digest_of(before: GuardrailSettings, wanted: GuardrailSettings) -> str:
    """Names one change: an agreement to it is no agreement to another, nor to the same one from another state."""
    return digest(canonical_bytes([[getattr(row, name) for name in FIELDS] for row in (before, wanted)]))


def _sentence(name: str, was: Any, is_now: Any) -> str:
    if name == "sessions_mode":
        return f"Sessions: “{mode_words(is_now)}” instead of “{mode_words(was)}”."
    if name == "calls_mode":
        return f"Calls outside sessions: “{mode_words(is_now)}” instead of “{mode_words(was)}”."
    if name == "switched_off":
        off, on = sorted(set(is_now) - set(was)), sorted(set(was) - set(is_now))
        parts = [
            f"{', '.join(off)}: not asked any more." if off else "",
            f"{', '.join(on)}: asked again." if on else "",
        ]
        return " ".join(filter(None, parts))
    return f"A violation of {CATEGORIES[name]} is a score above {is_now:g}, no longer above {was:g}."


def _detectors(settings: GuardrailSettings) -> list[dict[str, Any]]:
    off = set(settings.switched_off)
    return [
        {
            "name": detector.name,
            "category": CATEGORIES[str(detector.category)],
            "version": detector.version,
            "missing": detector.missing(),
            "install": _install(detector.missing()),
            "off": detector.name in off,
        }
        for detector in BUILT_IN
    ]


def _install(missing: tuple[str, ...]) -> list[str]:
    """The command for each; a model of spaCy is no package of the index."""
    return [
        f"python -m spacy download {name}" if name.startswith(_SPACY_MODELS) else f"pip install {name}"
        for name in missing
    ]
