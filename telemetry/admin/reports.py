"""Reports of sessions: asked for, watched while a worker makes them, and fetched."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import content_disposition_header, urlencode
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextInputWidget

from telemetry.admin.acts import Act, ActsAdmin, events_about, operator_of
from telemetry.admin.base import ReadOnlyAdmin
from telemetry.models import Report
from telemetry.reports.requested import MAY_REPORT, may_fetch, read_report, request_report
from telemetry.reports.selection import FILTERS, LONGEST, BadFilter, Filters
from telemetry.reports.writing import CONTENT_TYPES
from telemetry.wording import left, moment, seen

STATES = {
    Report.Status.QUEUED: "info",
    Report.Status.RUNNING: "info",
    Report.Status.DONE: "success",
    Report.Status.FAILED: "danger",
}
TAGS = {"info": "tag-note", "success": "tag-good", "danger": "tag-bad"}
ACT = Act(
    title="Report on sessions",
    consequences=(
        "A worker makes a file of every step of these sessions; a page shows how far it is.",
        "Secrets and personal data in texts, arguments and names are masked in it.",
        "It is kept, encrypted, for 24 hours. That it was made, and each download, is on record.",
    ),
    button="Make the report",
)


class TextFilter(forms.CharField):
    widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})

    def __init__(self, label: str, help_text: str) -> None:
        super().__init__(label=label, required=False, max_length=LONGEST, help_text=help_text)


class RequestForm(forms.Form):
    """The filters in the words of the doors; `filters` is what they come to."""

    format = forms.ChoiceField(choices=Report.Format.choices, widget=UnfoldAdminRadioSelectWidget)
    session = TextFilter("Session", "Only the session of this id. Empty: any.")
    agent = TextFilter("Agent", "Only sessions of this agent, e.g. billing-agent. Empty: any.")

    filters = Filters()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # `from` is no name for an attribute.
        self.fields["from"] = TextFilter("From", "Began then or later, e.g. 2026-11-21T14:00:00Z. Empty: ever.")
        self.fields["to"] = TextFilter("To", "Began before then. Empty: until now.")

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        try:
            self.filters = Filters.from_json({name: found.get(name, "") for name in FILTERS})
        except BadFilter as problem:
            named = str(problem).partition(" ")[0]
            self.add_error(named if named in self.fields else None, str(problem))
        return found


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin, ActsAdmin):
    subject_kind = "report"
    list_display = ("asked", "requester_seen", "about", "format", "status_label", "progress", "size", "kept")
    list_filter = (("status", ChoicesDropdownFilter), ("format", ChoicesDropdownFilter))
    ordering = ("-created_at", "id")

    # who may

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(MAY_REPORT))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(MAY_REPORT))

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Those who may make reports see all; who asked for one sees that."""
        if isinstance(obj, Report):
            return may_fetch(request.user, obj)
        is_allowed = request.user.has_perm(MAY_REPORT)
        return is_allowed or (request.user.pk is not None and Report.objects.of(request.user.pk).exists())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        found: QuerySet[Report] = super().get_queryset(request)
        return found if request.user.has_perm(MAY_REPORT) else found.filter(requester_id=request.user.pk or 0)

    # asking

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        given = {name: request.GET.get(name, "") for name in FILTERS}
        form = RequestForm(
            request.POST if request.method == "POST" else None, initial={"format": Report.Format.XLSX} | given
        )
        if request.method == "POST" and form.is_valid():
            try:
                report = request_report(request.user, form.filters, form.cleaned_data["format"], timezone.now())
            except ValidationError as problem:
                form.add_error(None, problem)
            else:
                return redirect("admin:telemetry_report_change", report.pk)
        return self.act_page(request, None, ACT, form)

    # watching and fetching

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.download)
        return [path("<path:object_id>/download/", view, name="telemetry_report_download"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        report = self._report(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "title": "Report on sessions",
            "opts": self.opts,
            "original": report,
            "report": report,
            "tag": TAGS[STATES[Report.Status(report.status)]],
            "filters": [(name, seen(report.filters.get(name, "any"), LONGEST)) for name in FILTERS],
            "size": filesizeformat(report.size_bytes),
            "left": left(report.expires_at),
            "history": events_about(self.subject_kind, str(report.pk))
            if request.user.has_perm("telemetry.view_auditevent")
            else "",
            "again": f"{reverse('admin:telemetry_report_add')}?{urlencode(report.filters)}"
            if self.has_add_permission(request)
            else "",
        }
        return TemplateResponse(request, "telemetry/report.html", context)

    def download(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        report = self._report(request, object_id)
        pieces = read_report(report, operator_of(request))
        if pieces is None:
            messages.warning(request, "There is no file: it is not made yet, or it has expired.")
            return redirect("admin:telemetry_report_change", report.pk)
        return StreamingHttpResponse(
            pieces,
            content_type=CONTENT_TYPES[Report.Format(report.format)],
            headers={
                "Content-Disposition": content_disposition_header(True, report.filename),
                "Content-Length": str(report.size_bytes),
                "Cache-Control": "no-store",
            },
        )

    def _report(self, request: HttpRequest, object_id: str) -> Report:
        """Somebody else's is as one that is not there."""
        report = self.get_object(request, unquote(object_id))
        if not isinstance(report, Report):
            raise Http404
        return report

    # columns

    @display(description="Asked for (UTC)", ordering="created_at")
    def asked(self, report: Report) -> SafeString:
        return moment(report.created_at)

    @display(description="By")
    def requester_seen(self, report: Report) -> str:
        return seen(report.requester, 40)

    @display(description="About")
    def about(self, report: Report) -> str:
        return ", ".join(f"{name} {seen(value, 40)}" for name, value in report.filters.items()) or "all sessions"

    @display(description="Status", label=STATES)
    def status_label(self, report: Report) -> tuple[str, str]:
        return report.status, report.get_status_display()

    @display(description="Steps")
    def progress(self, report: Report) -> str:
        if report.status == Report.Status.RUNNING:
            return f"{report.done_steps:,} of {report.total_steps:,}"
        return f"{report.total_steps:,}" if report.status == Report.Status.DONE else "–"

    @display(description="Size")
    def size(self, report: Report) -> str:
        return str(filesizeformat(report.size_bytes)) if report.size_bytes else "–"

    @display(description="Kept")
    def kept(self, report: Report) -> str:
        return left(report.expires_at)
