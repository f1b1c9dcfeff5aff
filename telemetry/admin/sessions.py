"""Sessions of agents: the list, the story of each, and the act that stops one."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from telemetry.admin.acts import Act, ActsAdmin, ReasonForm, events_about, operator_of
from telemetry.admin.audit import TRACE_ID
from telemetry.admin.base import ReadOnlyAdmin
from telemetry.admin.session_page import labels_shown, story
from telemetry.admin.time_filter import TimeRangeFilter
from telemetry.models import Session, Step
from telemetry.reports.requested import MAY_REPORT
from telemetry.sessions import stop_session
from telemetry.wording import ago, seen

KNOWN_LABELS = ("untrusted_text", "private_data")
STATES = {
    Session.Status.OPEN: "info",
    Session.Status.CLOSED: "success",
    Session.Status.EXPIRED: "",
    Session.Status.STOPPED: "danger",
    Session.Status.REFUSED: "danger",
}
# What the page of one session needs, and a list of them does not.
_LARGE = ("policy", "guardrails", "tools_discovered", "preflight_result", "tools_called")


class ViolationsFilter(DropdownFilter):
    title = "violations"
    parameter_name = "violations"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        return (("yes", "Has violations"), ("no", "Has none"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        chosen = self.value()
        if chosen == "yes":
            return queryset.filter(total_violations__gt=0)
        return queryset.filter(total_violations=0) if chosen == "no" else queryset


class LabelsFilter(DropdownFilter):
    """Sessions into which something of this kind came."""

    title = "label"
    parameter_name = "label"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        return tuple((label, label) for label in KNOWN_LABELS)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        chosen = self.value()
        return queryset.filter(labels__contains=[chosen]) if chosen else queryset


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin, ActsAdmin):
    subject_kind = "session"
    list_display = (
        "name",
        "agent_seen",
        "model_seen",
        "status_label",
        "steps_seen",
        "violations_label",
        "cost",
        "tokens",
        "latency",
        "used",
        "labels_seen",
    )
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ViolationsFilter,
        LabelsFilter,
        ("created_at", TimeRangeFilter),
    )
    search_fields = ("session_id",)
    search_help_text = "Part of a session id or of an agent's name, or the whole trace id of a step."
    ordering = ("-created_at", "id")
    list_before_template = "telemetry/sessions_top.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        found: QuerySet[Session] = super().get_queryset(request)
        match = request.resolver_match
        is_list = match is not None and match.url_name == "telemetry_session_changelist"
        return found.defer(*_LARGE) if is_list else found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Session], search_term: str
    ) -> tuple[QuerySet[Session], bool]:
        """A trace is found by its index; other words are looked for from the newest session backwards."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if TRACE_ID.fullmatch(term):
            return queryset.filter(pk__in=Step.objects.filter(trace_id=term).values("session")), False
        return queryset.filter(Q(session_id__icontains=term) | Q(agent__icontains=term)), False

    # the story

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.stop)
        return [path("<path:object_id>/stop/", view, name="telemetry_session_stop"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        session = self._session(request, object_id)
        asked = request.GET.get("page", "")
        page = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1
        context = {
            **self.admin_site.each_context(request),
            "title": f"Session {session.session_id}",
            "opts": self.opts,
            "stop_page": reverse("admin:telemetry_session_stop", args=[session.pk])
            if session.is_open and _may_stop(request)
            else "",
            "report_page": _report_page(request, session),
            "history": events_about(self.subject_kind, str(session.pk))
            if request.user.has_perm("telemetry.view_auditevent")
            else "",
            **story(session, request.user, page, timezone.now()),
        }
        return TemplateResponse(request, "telemetry/session.html", context)

    def _session(self, request: HttpRequest, object_id: str) -> Session:
        session = self.get_object(request, unquote(object_id))
        if not isinstance(session, Session):
            raise Http404
        if not self.has_view_permission(request, session):
            raise PermissionDenied
        return session

    # stopping

    def stop(self, request: HttpRequest, object_id: str) -> HttpResponse:
        session = self._session(request, object_id)
        if not _may_stop(request):
            raise PermissionDenied
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            if stop_session(session, operator_of(request), form.cleaned_data["reason"]):
                messages.success(request, f"Session {session.session_id} is stopped: it takes no more steps.")
            else:
                messages.warning(request, f"Session {session.session_id} had ended already; nothing changed.")
            return redirect("admin:telemetry_session_change", session.pk)
        if not session.is_open:
            messages.info(request, f"Session {session.session_id} has ended already.")
            return redirect("admin:telemetry_session_change", session.pk)
        return self.act_page(request, session, _stopping(session), form)

    # columns

    @display(description="Session", ordering="session_id")
    def name(self, session: Session) -> SafeString:
        return format_html('<span class="breaks breaks-late">{}</span>', session.session_id)

    @display(description="Agent")
    def agent_seen(self, session: Session) -> SafeString:
        return format_html('<span class="breaks">{}</span>', seen(session.agent, 40))

    @display(description="Model")
    def model_seen(self, session: Session) -> SafeString:
        return format_html('<span class="breaks">{}</span>', seen(session.model, 40))

    @display(description="Status", label=STATES)
    def status_label(self, session: Session) -> str:
        return session.status

    @display(description="Steps")
    def steps_seen(self, session: Session) -> SafeString:
        return format_html('<span class="moment">{} / {}</span>', session.steps_begun, session.max_steps)

    @display(description="Violations", label={"some": "danger"})
    def violations_label(self, session: Session) -> tuple[str, str] | str:
        return ("some", str(session.total_violations)) if session.total_violations else "0"

    @display(description="USD")
    def cost(self, session: Session) -> str:
        return f"{session.total_cost_est:,.4f}" if session.total_cost_est else "0"

    @display(description="Tokens")
    def tokens(self, session: Session) -> SafeString:
        into, out = session.total_tokens_in, session.total_tokens_out
        return format_html('<span title="{} in, {} out">{}</span>', f"{into:,}", f"{out:,}", f"{into + out:,}")

    @display(description="Latency")
    def latency(self, session: Session) -> SafeString:
        return format_html('<span class="moment">{} ms</span>', f"{session.total_latency_ms:,.0f}")

    @display(description="Last used")
    def used(self, session: Session) -> SafeString:
        at = f"{session.last_used_at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
        return format_html('<span class="moment" title="{}">{}</span>', at, ago(session.last_used_at))

    @display(description="Came in")
    def labels_seen(self, session: Session) -> SafeString | str:
        return labels_shown(session.labels) or "–"

    class Media:
        css = {"all": ["observatory/policy.css", "observatory/sessions.css"]}


def _report_page(request: HttpRequest, session: Session) -> str:
    """Where a report of this session is asked for; nothing for those who make none."""
    if not request.user.has_perm(MAY_REPORT):
        return ""
    about = {"session": session.session_id, "agent": session.agent}
    return f"{reverse('admin:telemetry_report_add')}?{urlencode(about)}"


def _may_stop(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("telemetry.stop_session"))


def _stopping(session: Session) -> Act:
    return Act(
        title=f"Stop session {session.session_id}",
        facts=(
            ("Agent", seen(session.agent, 80)),
            ("Model", seen(session.model, 120)),
            ("Steps until now", f"{session.steps_begun} of {session.max_steps}"),
            ("Last used", ago(session.last_used_at)),
        ),
        consequences=(
            "Each later step is refused with session_closed, from now on and in every process.",
            "A call that runs is not cut off: it ends, and its outcome is recorded.",
            "What waits for a decision or a commit does not run any more, also where somebody agrees to it.",
            "The agent's key goes on working outside this session: to stop all of it, freeze the agent.",
            "A stopped session can't be opened again; the agent would begin another.",
        ),
        button="Stop it",
        danger=True,
    )
