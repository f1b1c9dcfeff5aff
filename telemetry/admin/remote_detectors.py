"""Detectors of the operator's own, asked over HTTP: what they are sent, a test, and their removal."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminPasswordWidget

from telemetry.admin.acts import Act, ActsAdmin, ReasonForm, operator_of
from telemetry.admin.generic import AnyForm
from telemetry.admin.try_guardrails import ask
from telemetry.egress import Kind
from telemetry.guardrail_acts import detector_problems, remove_detector, save_detector
from telemetry.models import RemoteDetector
from telemetry.own_detectors import NO_KEY, detector_of
from telemetry.visible import visible
from telemetry.wording import ago, seen

HARMLESS = "The weather is fine today, and the train is on time."
_WHY = {
    Kind.BAD_URL: "its address can't be called.",
    Kind.REFUSED_ADDRESS: "its address is refused; OBSERVATORY_EGRESS_ALLOW opens one inside your network.",
    Kind.REDIRECT_REFUSED: "it answered with a redirect, and none is followed.",
    Kind.TIMEOUT: "it did not answer within {timeout_s} s.",
    Kind.UNREACHABLE: "it can't be reached, or its certificate is not valid.",
    Kind.TOO_LARGE: "its answer is larger than may be read.",
    Kind.BAD_RESPONSE: "it broke off, or its answer is not HTTP.",
    "bad_answer": 'its answer is not {{"score": 0 to 1}}.',
    NO_KEY: "its stored credential can't be opened with the present keys; type it again.",
}


class RemoteDetectorForm(AnyForm):
    """What operators say of a detector. A credential goes in and never comes out."""

    secret = forms.CharField(
        label="Credential",
        required=False,
        max_length=4000,
        strip=True,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )

    class Meta:
        model = RemoteDetector
        fields = ("name", "category", "enabled", "url", "timeout_s", "secret_header", "secret")
        help_texts = {
            "category": "Which threshold its scores are compared with, and what the mode makes of a violation.",
            "timeout_s": "e.g. 2. Each call waits so long for it; one that does not answer could not say, and doubt is "
            "a violation.",
            "secret_header": "Header that carries the credential, e.g. Authorization. Clear it to forget a stored one.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "secret" in self.fields:
            self.fields["secret"].help_text = (
                "One is stored. Leave this empty to keep it; what you type replaces it. It is never shown."
                if self.instance.sealed_secret
                else "e.g. 3f9c…; in Authorization it is sent as Bearer 3f9c… Stored encrypted, and never shown again."
            )

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's own hook, which its stubs leave out
        if not self.errors:
            for field, problem in detector_problems(self.instance, self.cleaned_data.get("secret", "")).items():
                self.add_error(field if field in self.fields else None, problem)


@admin.register(RemoteDetector)
class RemoteDetectorAdmin(ActsAdmin):
    subject_kind = "remote_detector"
    form = RemoteDetectorForm
    list_display = ("name", "category_words", "where", "state_label", "timeout_s", "changed")
    list_filter = (("category", ChoicesDropdownFilter), "enabled")
    search_fields = ("name", "url")
    search_help_text = "Name or address."
    actions_detail = ("test", "remove")
    fieldsets = (
        (None, {"fields": ("name", "category", "enabled")}),
        ("Where it is asked", {"fields": ("url", "timeout_s", "secret_header", "secret")}),
    )

    class Media:
        css = {"all": ["observatory/policy.css"]}

    def get_fieldsets(self, request: HttpRequest, obj: RemoteDetector | None = None) -> Any:
        """Who may only look is not shown a field for a credential."""
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        return (self.fieldsets[0], ("Where it is asked", {"fields": ("url", "timeout_s", "secret_header")}))

    def save_model(self, request: HttpRequest, obj: RemoteDetector, form: AnyForm, change: bool) -> None:
        save_detector(obj, operator_of(request), timezone.now(), secret=form.cleaned_data.get("secret", ""))

    def _detector(self, request: HttpRequest, object_id: str) -> RemoteDetector:
        row = self.get_object(request, object_id)
        if not isinstance(row, RemoteDetector):
            raise Http404
        return row

    # a test

    def has_test_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("telemetry.change_remotedetector"))

    @action(description="Test…", url_path="test", icon="science", permissions=["test"])
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self._detector(request, object_id)
        if request.method == "POST":
            context = {
                **self.admin_site.each_context(request),
                "title": f"Test of {row.name}",
                "opts": self.opts,
                "original": row,
                "facts": (*_facts(row), ("Sent", HARMLESS)),
                **_tested(row),
            }
            return TemplateResponse(request, "telemetry/channel_tested.html", context)
        act = Act(
            title=f"Test {row.name}",
            facts=(*_facts(row), ("Sent", HARMLESS)),
            consequences=(
                "This sentence is sent to it, once and now, as the text of an input.",
                f"This page waits for the answer, at most {row.timeout_s} s, and shows the score or why there is none.",
                "Nothing is recorded as a signal.",
            ),
            button="Send it",
        )
        return self.act_page(request, row, act, forms.Form())

    # removing

    def has_remove_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("telemetry.delete_remotedetector"))

    @action(
        description="Remove…", url_path="remove", icon="delete", variant=ActionVariant.DANGER, permissions=["remove"]
    )
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self._detector(request, object_id)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            if remove_detector(row.pk, operator_of(request), timezone.now(), form.cleaned_data["reason"]):
                messages.success(request, f"Removed: {row.name} is asked no more.")
            else:
                messages.warning(request, f"{row.name} was removed already; nothing changed.")
            return redirect("admin:telemetry_remotedetector_changelist")
        act = Act(
            title=f"Remove {row.name}",
            facts=_facts(row),
            consequences=(
                "No text is sent to it from now on; what it found is found by nobody else.",
                "Its credential is forgotten. To leave it out for a while only, switch it off instead.",
                "What it said of calls and sessions stays on record.",
            ),
            button="Remove",
            danger=True,
        )
        return self.act_page(request, row, act, form)

    # columns

    @display(description="Looks for", ordering="category")
    def category_words(self, row: RemoteDetector) -> str:
        return row.get_category_display()

    @display(description="Where")
    def where(self, row: RemoteDetector) -> str:
        return seen(row.url, 80)

    @display(description="State", label={"asked": "success", "off": "warning"})
    def state_label(self, row: RemoteDetector) -> str:
        return "asked" if row.enabled else "off"

    @display(description="Changed", ordering="changed_at")
    def changed(self, row: RemoteDetector) -> str:
        return ago(row.changed_at)


def _tested(row: RemoteDetector) -> dict[str, Any]:
    """What it answered, for the page of a test: whether it can be asked, and a sentence."""
    said = ask(detector_of(row), HARMLESS)
    took = f"{said.took_ms:,.0f} ms"
    if said.found is None:
        return {"arrived": False, "said": f"It can't be asked: {why_words(said.why, row.timeout_s)} ({took})"}
    kinds = ", ".join(f"{visible(kind)} ×{count}" for kind, count in said.found.kinds.items())
    return {"arrived": True, "said": f"Score {said.found.score:g}{f', {kinds}' if kinds else ''}, in {took}."}


def why_words(why: str, timeout_s: int) -> str:
    """Why a detector could not say, as its operator can act on it."""
    status = why.removeprefix("status_")
    if status != why:
        return f"it answered {visible(status)} instead of 200."
    return _WHY[why].format(timeout_s=timeout_s) if why in _WHY else visible(why)


def _facts(row: RemoteDetector) -> tuple[tuple[str, str], ...]:
    return (
        ("Looks for", row.get_category_display()),
        ("Where", visible(row.url)),
        ("Credential", f"in the header {row.secret_header}" if row.sealed_secret else "none"),
    )
