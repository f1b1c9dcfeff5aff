from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget

from approvals.models import PendingAction, SigningKey
from approvals.signing_keys import revoke, rotate
from approvals.states import Status
from telemetry.admin.acts import Act, ActsAdmin, ReasonForm, operator_of
from telemetry.visible import visible
from telemetry.wording import ago

LABELS = {
    SigningKey.Status.ACTIVE.label: "success",
    SigningKey.Status.VERIFY_ONLY.label: "info",
    SigningKey.Status.REVOKED.label: "danger",
}


class RevokeForm(forms.Form):
    reason = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="The ring and the audit trail keep it, e.g. A token was in a log that others read.",
    )


def open_proposals(key: SigningKey) -> int:
    """How many proposals may still be committed and hold a token that this key signed."""
    tokens = {"proposal__tokens__signing_key": key, "proposal__tokens__expires_at__gt": timezone.now()}
    return PendingAction.objects.filter(status=Status.APPROVED, **tokens).distinct().count()


@admin.register(SigningKey)
class SigningKeyAdmin(ActsAdmin):
    subject_kind = "signing_key"
    list_display = ("kid", "status_label", "made", "retired_at", "revoked_at", "why_revoked")
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("kid",)
    search_help_text = "Key id."
    actions_list = ("rotate",)
    actions_detail = ("revoke",)
    fieldsets = (
        (None, {"fields": ("kid", "status_label", "open_tokens")}),
        ("When and why", {"fields": ("created_at", "retired_at", "revoked_at", "why_revoked")}),
    )
    readonly_fields = ("status_label", "open_tokens", "why_revoked")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_rotate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("approvals.rotate_signingkey"))

    @action(description="Rotate…", url_path="rotate", icon="autorenew", permissions=["rotate"])
    def rotate(self, request: HttpRequest) -> HttpResponse:
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            key = rotate(operator_of(request), timezone.now(), form.cleaned_data["reason"])
            messages.success(request, f"Key {key.kid} signs new commit tokens from now on.")
            return redirect("admin:approvals_signingkey_changelist")
        signs = SigningKey.objects.filter(status=SigningKey.Status.ACTIVE).first()
        act = Act(
            title="Rotate the signing key",
            facts=(("Signs now", f"{signs.kid}, since {ago(signs.created_at)}" if signs else "no key yet"),),
            consequences=(
                "A new key signs every commit token that is issued from now on.",
                "Tokens that are out there stay good until their own end: the old key still verifies them.",
                "To make them worthless, revoke the old key afterwards.",
            ),
            button="Rotate",
        )
        return self.act_page(request, SigningKey(), act, form)

    # revoking

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        key = self.get_object(request, str(object_id))
        if not key or key.status == SigningKey.Status.REVOKED:
            return []
        offered: list[Any] = super().get_actions_detail(request, object_id)
        return offered

    @action(
        description="Revoke…", url_path="revoke", icon="block", variant=ActionVariant.DANGER, permissions=["rotate"]
    )
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.get_object(request, object_id)
        if not isinstance(key, SigningKey):
            raise Http404
        form = RevokeForm(request.POST if request.method == "POST" else None)
        refused, status = "", 200
        if request.method == "POST" and form.is_valid():
            try:
                revoke(key.kid, operator_of(request), timezone.now(), form.cleaned_data["reason"])
            except ValidationError as problem:
                refused, status = f"{' '.join(problem.messages)} Nothing was changed.", 409
            else:
                messages.success(request, f"Key {key.kid} is revoked: its tokens are refused.")
                return redirect("admin:approvals_signingkey_change", key.pk)
        touched = open_proposals(key)
        act = Act(
            title=f"Revoke signing key {key.kid}",
            facts=(
                ("Key", key.kid),
                ("Status", key.get_status_display()),
                ("Made", ago(key.created_at)),
                ("Open proposals with its tokens", touched),
            ),
            consequences=(
                "From now on every token that it signed is refused with bad_signature, as a forged one is.",
                _touched_words(touched),
                *(("A new key is made at once and signs from then on.",) if _signs(key) else ()),
                "This can't be undone.",
            ),
            button="Revoke the key",
            danger=True,
        )
        return self.act_page(request, key, act, form, refused=refused, status=status)

    # columns

    @display(description="Status", label=LABELS)
    def status_label(self, key: SigningKey) -> str:
        return key.get_status_display()

    @display(description="Made", ordering="created_at")
    def made(self, key: SigningKey) -> str:
        return ago(key.created_at)

    @display(description="Revoked because")
    def why_revoked(self, key: SigningKey) -> str:
        return visible(key.revoked_because)

    @display(description="Open proposals with its tokens")
    def open_tokens(self, key: SigningKey) -> int:
        return open_proposals(key)


def _signs(key: SigningKey) -> bool:
    return key.status == SigningKey.Status.ACTIVE


def _touched_words(touched: int) -> str:
    if not touched:
        return "No open proposal holds a token of it."
    proposals = "1 open proposal holds" if touched == 1 else f"{touched} open proposals hold"
    return f"{proposals} such a token; the agent asks for a new one by GET /proposals/<id>."
