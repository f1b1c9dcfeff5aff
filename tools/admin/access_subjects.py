from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import F, Model, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from telemetry.admin.acts import Act, ActsAdmin, ReasonForm, operator_of
from telemetry.admin.base import ListAdmin, ReadOnlyAdmin
from telemetry.admin.ended_filter import EndedFilter
from telemetry.admin.generic import AnyForm
from telemetry.visible import visible
from telemetry.wording import ago
from tools.actions.access_subjects import change_subject, map_subject, unmap_subject
from tools.models import AccessSubject, AgentKey, UnmappedSubject

SEEN, AS_CLIENT = "seen", "as_client"


class TellsWhetherTokensCount(ListAdmin):
    """Pages that say so where no access token is taken: what is set here has no effect then."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        _tell(request)
        page: HttpResponse = super().changelist_view(request, extra_context)
        return page

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        _tell(request)
        page: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return page


def _tell(request: HttpRequest) -> None:
    if request.method == "GET" and not settings.OAUTH_ISSUER:
        messages.warning(
            request,
            "Access tokens are not taken here: OBSERVATORY_OAUTH_ISSUER is not set, so mappings have no effect.",
        )


class SubjectForm(AnyForm):
    class Meta:
        model = AccessSubject
        fields = ("issuer", "kind", "value", "key")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "key" not in self.fields:
            return
        field = self.fields["key"]
        assert isinstance(field, forms.ModelChoiceField)
        working = AgentKey.objects.usable(timezone.now()).filter(replaced_by=None)
        keys = AgentKey.objects.select_related("agent")
        if not self.instance.pk:
            keys = keys.filter(pk__in=working)
        else:
            of_agent = {"agent": self.instance.key.agent_id}
            keys = keys.filter(Q(pk=self.instance.key_id) | Q(pk__in=working), **of_agent)
            field.help_text = "Another key of the same agent. For another agent, unmap this and map it anew."
        field.queryset = keys


class MappedFilter(EndedFilter):
    ended_at = "unmapped_at"
    words = (("mapped", "mapped"), ("unmapped", "unmapped"))


@admin.register(AccessSubject)
class AccessSubjectAdmin(TellsWhetherTokensCount, ActsAdmin):
    subject_kind = "access_subject"
    form = SubjectForm
    list_display = ("name", "kind", "state_label", "agent", "key", "mapped", "mapped_by")
    list_select_related = ("key__agent", "mapped_by")
    list_filter = (MappedFilter, ("kind", ChoicesDropdownFilter))
    search_fields = ("value", "key__public_id", "key__agent__name")
    search_help_text = "Name in the token, agent or key."
    ordering = (F("unmapped_at").desc(nulls_first=True), "-created_at")
    actions_detail = ("unmap",)
    add_fieldsets = (
        ("Whose access tokens", {"fields": ("issuer", "kind", "value")}),
        ("Act as", {"fields": ("key",)}),
    )
    fieldsets = (
        ("Whose access tokens", {"fields": ("issuer", "kind", "name", "state_label")}),
        ("Act as", {"fields": ("key",)}),
        ("When and who", {"fields": ("created_at", "mapped_by", "unmapped_at")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: AccessSubject | None = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        return ("issuer", "kind", "name", "state_label", "created_at", "mapped_by", "unmapped_at")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A subject that came is filled in from its row, so that nobody copies it."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        seen, as_client = given.pop(SEEN, ""), given.pop(AS_CLIENT, "")
        found: dict[str, Any] = {"issuer": settings.OAUTH_ISSUER}
        row = UnmappedSubject.objects.filter(pk=seen).first() if seen.isascii() and seen.isdigit() else None
        if row is not None:
            kind = AccessSubject.Kind.CLIENT if as_client or not row.subject else AccessSubject.Kind.SUBJECT
            value = row.subject if kind == AccessSubject.Kind.SUBJECT else row.client
            found |= {"issuer": row.issuer, "kind": kind.value, "value": value}
        return found | given

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """What is unmapped is only looked at."""
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and not (isinstance(obj, AccessSubject) and obj.unmapped_at)

    def save_model(self, request: HttpRequest, obj: AccessSubject, form: Any, change: bool) -> None:
        (change_subject if change else map_subject)(obj, operator_of(request), timezone.now())

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        row = self.get_object(request, str(object_id))
        offered: list[Any] = super().get_actions_detail(request, object_id)
        return offered if isinstance(row, AccessSubject) and row.unmapped_at is None else []

    def has_unmap_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("tools.unmap_accesssubject"))

    @action(
        description="Unmap",
        url_path="unmap",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["unmap"],
    )
    def unmap(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.get_object(request, object_id)
        if not isinstance(row, AccessSubject):
            raise Http404
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            if unmap_subject(row, operator_of(request), timezone.now(), reason=form.cleaned_data["reason"]):
                messages.success(request, f"Unmapped: {visible(str(row))}. Its tokens act as nobody.")
            else:
                messages.warning(request, f"{visible(str(row))} was unmapped already; nothing changed.")
            return redirect("admin:tools_accesssubject_change", row.pk)
        act = Act(
            title=f"Unmap {visible(str(row))}",
            facts=(
                ("Tokens of", visible(str(row))),
                ("Issuer", visible(row.issuer)),
                ("Act as", f"{row.key.agent} with the key {row.key.public_id}"),
            ),
            consequences=(
                "From the next call on its tokens are answered 403, in every process within a second.",
                "What was asked for and still waits, goes on: it is the agent's. Revoke the key or freeze the agent "
                "to end that too.",
                "A subject that was unmapped is not let in by its client either, until it is mapped anew.",
            ),
            button="Unmap",
            danger=True,
        )
        return self.act_page(request, row, act, form)

    @display(description="Name in the token", ordering="value")
    def name(self, row: AccessSubject) -> str:
        return visible(row.value)

    @display(description="State", label={"mapped": "success", "unmapped": "danger"})
    def state_label(self, row: AccessSubject) -> str:
        return "unmapped" if row.unmapped_at else "mapped"

    @display(description="Agent", ordering="key__agent__name")
    def agent(self, row: AccessSubject) -> str:
        return row.key.agent.name

    @display(description="Mapped", ordering="created_at")
    def mapped(self, row: AccessSubject) -> str:
        return ago(row.created_at)


@admin.register(UnmappedSubject)
class UnmappedSubjectAdmin(TellsWhetherTokensCount, ReadOnlyAdmin):
    list_display = ("subject_shown", "client_shown", "issuer", "last_seen", "first_seen_at")
    list_display_links = None
    search_fields = ("subject", "client")
    search_help_text = "Subject or client."

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        may_map = request.user.has_perm("tools.add_accesssubject")
        return (*self.list_display, "map_links") if may_map else self.list_display

    @display(description="Subject", ordering="subject")
    def subject_shown(self, row: UnmappedSubject) -> str:
        return visible(row.subject) or "the client itself"

    @display(description="Client", ordering="client")
    def client_shown(self, row: UnmappedSubject) -> str:
        return visible(row.client)

    @display(description="Last seen", ordering="last_seen_at")
    def last_seen(self, row: UnmappedSubject) -> str:
        return ago(row.last_seen_at)

    @display(description="Map")
    def map_links(self, row: UnmappedSubject) -> SafeString | str:
        add, wanted = reverse("admin:tools_accesssubject_add"), []
        if row.subject:
            wanted.append((f"{add}?{urlencode({SEEN: row.pk})}", "this subject"))
        if row.client:
            wanted.append((f"{add}?{urlencode({SEEN: row.pk, AS_CLIENT: 1})}", "its client"))
        links = [format_html('<a class="record-link" href="{}">{}</a>', *one) for one in wanted]
        return format_html("{} {}", links[0], links[1] if len(links) > 1 else "") if links else ""
