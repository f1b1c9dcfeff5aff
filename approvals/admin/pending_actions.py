"""The list of what waits for people and what became of it, and the page of each."""

from typing import Any

from django.contrib import admin
from django.db.models import Case, Count, F, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from approvals.admin.bulk_decisions import BulkDecisions
from approvals.admin.decision_page import DecisionPage, may_reject, why_not
from approvals.admin.record import LABELS, facts_of
from approvals.admin.resolution_page import ResolutionPage, may_settle, why_not_settle
from approvals.admin.searching import by_id_or_trace
from approvals.models import PendingAction, Vote
from approvals.states import Status
from approvals.wording import arguments_line
from telemetry.admin.acts import events_about
from telemetry.visible import visible
from telemetry.wording import ago, left, seen

# A subquery is run for the rows of one page; a join would count for every row of the table.
AGREED = Coalesce(
    Subquery(
        Vote.objects.filter(pending_action=OuterRef("pk"), approve=True)
        .order_by()
        .values("pending_action")
        .annotate(number=Count("pk"))
        .values("number")
    ),
    0,
)


@admin.register(PendingAction)
class PendingActionAdmin(DecisionPage, ResolutionPage, BulkDecisions):
    list_display = ("tool", "asked_for", "agent", "status_label", "time", "approvals")
    list_select_related = ("tool", "agent")
    list_filter = (("status", ChoicesDropdownFilter), ("tool", RelatedDropdownFilter), ("agent", RelatedDropdownFilter))
    search_fields = ("trace_id",)
    search_help_text = "An action's id or a trace id, exactly."
    # What waits comes first, the most urgent of it at the top.
    ordering = (
        Case(When(status=Status.PENDING, then=F("expires_at"))).asc(nulls_last=True),
        "-created_at",
    )
    actions_detail = ("approve", "reject", "settle")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PendingAction]:
        rows: QuerySet[PendingAction] = super().get_queryset(request)
        return rows.annotate(agreed=AGREED)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PendingAction], search_term: str
    ) -> tuple[QuerySet[PendingAction], bool]:
        return by_id_or_trace(queryset, search_term, "pk"), False

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The buttons stand beside the arguments on the record's page, not in its head."""
        return []

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        pending = self.readable(request, object_id)
        if request.method != "GET":
            return HttpResponse(status=405, headers={"Allow": "GET"})
        sentence, arguments = self.arguments_for(request, pending)
        context = {
            **self.admin_site.each_context(request),
            "title": str(pending),
            "opts": self.opts,
            "original": pending,
            "status_label": pending.get_status_display(),
            "status_look": LABELS[pending.get_status_display()],
            "facts": facts_of(pending),
            "arguments_note": sentence,
            "arguments": arguments,
            "votes": [(vote, visible(vote.reason)) for vote in pending.votes.all()],
            "why_not": _why_not(pending, request.user),
            "may_decide": not why_not(pending, request.user),
            "may_reject": may_reject(pending, request.user),
            "may_settle": may_settle(pending, request.user),
            "events_link": events_about(self.subject_kind, str(pending.pk)),
            "media": self.media,
        }
        return TemplateResponse(request, "approvals/pending_action.html", context)

    # columns

    @display(description="Status", label=LABELS)
    def status_label(self, pending: PendingAction) -> str:
        return pending.get_status_display()

    @display(description="Time", ordering="created_at")
    def time(self, pending: PendingAction) -> str:
        """How long it can still be decided; when it was asked for, where that is over."""
        return left(pending.expires_at) if pending.status == Status.PENDING else f"asked {ago(pending.created_at)}"

    @display(description="Approvals")
    def approvals(self, pending: Any) -> str:
        return f"{pending.agreed} of {pending.quorum}" if pending.quorum else "nobody needed"

    @display(description="Arguments, masked")
    def asked_for(self, pending: PendingAction) -> str:
        return seen(arguments_line(pending), 60)


def _why_not(pending: PendingAction, user: Any) -> str:
    """Why this reader can't do what the action waits for."""
    if pending.status == Status.PENDING:
        return why_not(pending, user)
    return why_not_settle(pending, user) if pending.status == Status.UNKNOWN else ""
