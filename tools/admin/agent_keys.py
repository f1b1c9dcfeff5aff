import datetime as dt
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminIntegerFieldWidget

from telemetry.admin.acts import Act, ActsAdmin, ReasonForm, operator_of
from telemetry.admin.generic import AnyForm
from telemetry.wording import ago
from tools.actions.agents import (
    LONGEST_GRACE,
    change_key,
    issue_key,
    revoke_key,
    rotate_key,
    votes_for_another,
)
from tools.client_snippets import KEY_PLACEHOLDER, snippets
from tools.credentials import NewCredential, new_public_id
from tools.models import AgentKey
from tools.scopes import Scope

STATES = {"active": "success", "replaced": "warning", "expired": "danger", "revoked": "danger"}
SOON = dt.timedelta(days=7)
FORM_LIVES_S = 12 * 3600


class FormTicket:
    """A form for a new key carries the public id that the key will have, signed for this operator.

    Public ids are unique in the database, so the same form sent twice makes one key, whatever restarts between.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._signer = signing.TimestampSigner(salt=f"tools.admin.new-key.{request.user.pk}")

    def new(self) -> str:
        return self._signer.sign(new_public_id())

    def public_id(self, text: str) -> str:
        """Raises ValidationError for a ticket that is not ours, not this operator's, or old."""
        try:
            return self._signer.unsign(text, max_age=FORM_LIVES_S)
        except signing.BadSignature as error:
            raise ValidationError("This form is too old or was not made for you. Open it again.") from error


class KeyForm(AnyForm):
    scopes = forms.TypedMultipleChoiceField(
        choices=[(scope.value, f"{scope.value}: {scope.label}") for scope in Scope],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="What the key may do at the doors. Without scopes it may do nothing.",
    )
    ticket = forms.CharField(required=False, widget=forms.HiddenInput())

    class Meta:
        model = AgentKey
        fields = ("agent", "owner", "policy", "scopes", "rate", "expires_at")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        owner = cleaned.get("owner") or getattr(self.instance, "owner", None)
        scopes = cleaned.get("scopes", [])
        gained = set(scopes) - set(self.instance.scopes if self.instance.pk else [])
        if owner and Scope.ACTIONS_CONFIRM in gained and votes_for_another(self.user, owner.pk, scopes):
            self.add_error("scopes", "actions:confirm votes as the key's owner: only the owner can issue such a key.")
        return cleaned

    # Set by AgentKeyAdmin.get_form().
    user: Any = None


class RotateForm(forms.Form):
    grace_hours = forms.IntegerField(
        label="Grace (hours)",
        min_value=0,
        max_value=LONGEST_GRACE // dt.timedelta(hours=1),
        initial=24,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="How long the old key still works. 0: it ends now.",
    )
    ticket = forms.CharField(widget=forms.HiddenInput())


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((state, state) for state in STATES), ("soon", "expires within 7 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AgentKey]) -> QuerySet[AgentKey]:
        now = timezone.now()
        alive = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))
        states = {
            "active": alive & Q(replaced_by=None),
            "replaced": alive & Q(replaced_by__isnull=False),
            "expired": Q(revoked_at=None, expires_at__lte=now),
            "revoked": Q(revoked_at__isnull=False),
            "soon": alive & Q(expires_at__lte=now + SOON),
        }
        chosen = states.get(self.value() or "")
        return queryset.filter(chosen) if chosen is not None else queryset


@admin.register(AgentKey)
class AgentKeyAdmin(ActsAdmin):
    subject_kind = "agent_key"
    form = KeyForm
    list_display = (
        "public_id",
        "agent",
        "state_label",
        "policy",
        "scopes_short",
        "rate",
        "last_used",
        "expires_at",
    )
    list_select_related = ("agent", "policy")
    list_filter = (StateFilter, ("agent", RelatedDropdownFilter), ("policy", RelatedDropdownFilter))
    search_fields = ("public_id", "agent__name")
    search_help_text = "Public id or agent."
    actions_detail = ("connect", "rotate", "revoke")
    add_fieldsets = (
        (None, {"fields": ("agent", "owner")}),
        ("What it may do", {"fields": ("policy", "scopes", "rate", "expires_at", "ticket")}),
    )
    fieldsets = (
        (None, {"fields": ("public_id", "state_label", "agent", "owner")}),
        ("What it may do", {"fields": ("policy", "scopes", "rate", "expires_at")}),
        ("Use", {"fields": ("created_at", "last_used", "revoked_at", "replaced_by")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: AgentKey | None = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        return ("public_id", "state_label", "agent", "owner", "created_at", "last_used", "revoked_at", "replaced_by")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"owner": request.user.pk, "scopes": [Scope.TOOLS_CALL]} | given | {"ticket": FormTicket(request).new()}

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.user = request.user
        return form

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A key that works no more is only looked at."""
        allowed: bool = super().has_change_permission(request, obj)
        ended = isinstance(obj, AgentKey) and obj.state(timezone.now()) in ("revoked", "expired")
        return allowed and not ended

    # adding: the secret is in the answer to the POST, and nowhere else

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and self.has_add_permission(request):
            issued = self._issued_before(request)
            if issued is not None:
                return self._issued_already_page(request, issued)
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        page: HttpResponse = super().add_view(request, form_url, buttons | (extra_context or {}))
        return page

    def _issued_before(self, request: HttpRequest) -> AgentKey | None:
        try:
            public_id = FormTicket(request).public_id(request.POST.get("ticket", ""))
        except ValidationError:
            return None
        return AgentKey.objects.select_related("agent").filter(public_id=public_id).first()

    def save_model(self, request: HttpRequest, obj: AgentKey, form: Any, change: bool) -> None:
        if change:
            change_key(obj, operator_of(request))
            return
        public_id = FormTicket(request).public_id(form.cleaned_data["ticket"])
        request.new_credential = issue_key(obj, operator_of(request), public_id=public_id)  # type: ignore[attr-defined]  # read by response_add

    def response_add(self, request: HttpRequest, obj: AgentKey, post_url_continue: str | None = None) -> HttpResponse:
        return self._secret_page(request, obj, request.new_credential)  # type: ignore[attr-defined]  # set by save_model

    def _secret_page(self, request: HttpRequest, key: AgentKey, credential: NewCredential) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"New key {key.public_id}",
            "opts": self.opts,
            "original": key,
            "secret": credential.text,
            "facts": _terms(key),
        }
        return _unkept(TemplateResponse(request, "tools/new_secret.html", context))

    def _issued_already_page(self, request: HttpRequest, key: AgentKey) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Nothing was done",
            "opts": self.opts,
            "original": key,
        }
        return _unkept(TemplateResponse(request, "tools/issued_already.html", context, status=409))

    # rotating and revoking

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        offered: list[Any] = super().get_actions_detail(request, object_id)
        key = self.get_object(request, str(object_id))
        state = key.state(timezone.now()) if key else ""
        works = state in ("active", "replaced")
        possible = {"connect": works, "rotate": state == "active", "revoke": works}
        return [one for one in offered if possible[one.path]]

    def has_connect_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Who may look at keys: the page has no secret."""
        return bool(self.has_view_permission(request))

    @action(description="Connect", url_path="connect", icon="cable", permissions=["connect"])
    def connect(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self._key(request, object_id)
        url = mcp_address(request)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Connect with key {key.public_id}",
            "opts": self.opts,
            "original": key,
            "url": url,
            "placeholder": KEY_PLACEHOLDER,
            "snippets": snippets(url),
        }
        return TemplateResponse(request, "tools/connect.html", context)

    def has_rotate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("tools.rotate_agentkey"))

    def has_revoke_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("tools.revoke_agentkey"))

    @action(
        description="Rotate",
        url_path="rotate",
        icon="autorenew",
        permissions=["rotate"],
    )
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self._key(request, object_id)
        if votes_for_another(request.user, key.owner_id, key.scopes):
            raise PermissionDenied("This key votes as its owner: only the owner can rotate it.")
        ticket = FormTicket(request)
        form = RotateForm(request.POST if request.method == "POST" else None, initial={"ticket": ticket.new()})
        refused = ""
        if request.method == "POST":
            issued = self._issued_before(request)
            if issued is not None:
                return self._issued_already_page(request, issued)
            if form.is_valid():
                grace = dt.timedelta(hours=form.cleaned_data["grace_hours"])
                try:
                    public_id = ticket.public_id(form.cleaned_data["ticket"])
                    new, credential = rotate_key(key, operator_of(request), grace, timezone.now(), public_id=public_id)
                    return self._secret_page(request, new, credential)
                except ValidationError as error:
                    refused = " ".join(error.messages)
        act = Act(
            title=f"Rotate key {key.public_id}",
            facts=_terms(key),
            consequences=(
                "A new key with the same policy, scopes, rate and expiry is issued; its secret is shown once.",
                "The old key works until the grace ends, and not a moment longer.",
            ),
            button="Issue the new key",
        )
        return _unkept(self.act_page(request, key, act, form, refused=refused, status=409 if refused else 200))

    @action(
        description="Revoke",
        url_path="revoke",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["revoke"],
    )
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self._key(request, object_id)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            if revoke_key(key, operator_of(request), timezone.now(), reason=form.cleaned_data["reason"]):
                messages.success(request, f"Key {key.public_id} is revoked: it works no more.")
            else:
                messages.warning(request, f"Key {key.public_id} was revoked already; nothing changed.")
            return redirect("admin:tools_agentkey_change", key.pk)
        act = Act(
            title=f"Revoke key {key.public_id}",
            facts=_terms(key),
            consequences=(
                "From the next call on it is answered 401, in every process within a second.",
                "What it asked for and still waits, or was approved and has not run, will not run.",
                "This can't be undone; the agent needs another key.",
            ),
            button="Revoke the key",
            danger=True,
        )
        return self.act_page(request, key, act, form)

    def _key(self, request: HttpRequest, object_id: str) -> AgentKey:
        key = self.get_object(request, object_id)
        if not isinstance(key, AgentKey):
            raise Http404
        return key

    # columns

    @display(description="State", label=STATES)
    def state_label(self, key: AgentKey) -> str:
        return key.state(timezone.now())

    @display(description="Scopes")
    def scopes_short(self, key: AgentKey) -> str:
        if not key.scopes:
            return "none"
        if len(key.scopes) == len(Scope):
            return "all"
        rest = len(key.scopes) - 2
        return ", ".join(sorted(key.scopes)[:2]) + (f" and {rest} more" if rest > 0 else "")

    @display(description="Last used", ordering="last_used_at")
    def last_used(self, key: AgentKey) -> str:
        return ago(key.last_used_at)


def mcp_address(request: HttpRequest) -> str:
    """The address of /mcp as the world has it; where nobody said, as this request came."""
    public = settings.PUBLIC_URL.rstrip("/")
    return f"{public}/mcp" if public else request.build_absolute_uri("/mcp")


def _terms(key: AgentKey) -> tuple[tuple[str, Any], ...]:
    return (
        ("Agent", key.agent),
        ("Key", key.public_id),
        ("Owner", key.owner),
        ("Policy", key.policy or "none: it may call nothing"),
        ("Scopes", ", ".join(key.scopes) or "none: it may do nothing"),
        ("Rate", key.rate),
        ("Expires", key.expires_at or "never"),
        ("Last used", ago(key.last_used_at)),
    )


def _unkept(response: HttpResponse) -> HttpResponse:
    """No browser and no proxy keeps this page."""
    response["Cache-Control"] = "no-store"
    return response
