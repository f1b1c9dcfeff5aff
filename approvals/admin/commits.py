from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    DropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display

from approvals.admin.searching import by_id_or_trace
from approvals.models import Commit
from telemetry.admin.audit import records_of
from telemetry.admin.base import ReadOnlyAdmin
from telemetry.admin.time_filter import TimeRangeFilter
from telemetry.wording import moment
from tools.reasons import reason

REPEATED = "idempotent_replay"
# Those that an attempt can have, in the order in which they are asked.
COMMIT_REASONS = (
    *("allowed", REPEATED, "bad_signature", "expired", "unknown_proposal", "args_hash_mismatch", "nonce_replay"),
    *("not_approved", "policy_changed", "tool_changed", "key_revoked", "scope_missing", "frozen"),
    *("invalid_parameter", "idempotency_in_flight", "idempotency_key_reused", "outcome_unknown"),
)


class ReasonFilter(DropdownFilter):
    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, code) for code in COMMIT_REASONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Commit]) -> QuerySet[Commit]:
        return queryset.filter(reason=self.value()) if self.value() else queryset


@admin.register(Commit)
class CommitAdmin(ReadOnlyAdmin):
    list_display = ("when", "outcome", "reason", "agent", "proposal_link", "trace_link")
    list_select_related = ("agent",)
    list_filter = (
        ("accepted", BooleanRadioFilter),
        ReasonFilter,
        ("agent", RelatedDropdownFilter),
        ("created_at", TimeRangeFilter),
    )
    search_fields = ("trace_id",)
    search_help_text = "The id of a commit, proposal or token, or a trace id, exactly."
    fieldsets = (
        (None, {"fields": ("when", "outcome", "reason", "meaning")}),
        ("Who and what", {"fields": ("agent", "agent_key", "proposal_link", "token_id", "trace_link", "id")}),
    )
    readonly_fields = ("when", "outcome", "meaning", "proposal_link", "trace_link")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Commit], search_term: str
    ) -> tuple[QuerySet[Commit], bool]:
        return by_id_or_trace(queryset, search_term, "pk", "proposal_id", "token_id"), False

    @display(description="When (UTC)", ordering="created_at")
    def when(self, commit: Commit) -> SafeString:
        return moment(commit.created_at)

    @display(description="Outcome", label={"accepted": "success", "repeated": "info", "refused": "danger"})
    def outcome(self, commit: Commit) -> str:
        return "accepted" if commit.accepted else "repeated" if commit.reason == REPEATED else "refused"

    @display(description="Meaning")
    def meaning(self, commit: Commit) -> str:
        spent = "The token was spent; its pending action says what came of the run."
        return spent if commit.accepted else reason(commit.reason).meaning

    @display(description="Proposal, as asked for")
    def proposal_link(self, commit: Commit) -> SafeString | str:
        """Of a forged token the proposal need not exist; its page then says so."""
        if commit.proposal_id is None:
            return "none named"
        address = reverse("admin:approvals_proposal_change", args=[commit.proposal_id])
        short = str(commit.proposal_id)[:8]
        return format_html(
            '<a class="record-link short" href="{}" title="{}">{}…</a>', address, commit.proposal_id, short
        )

    @display(description="Trace")
    def trace_link(self, commit: Commit) -> SafeString:
        return format_html(
            '<a class="record-link short" href="{}" title="{}">{}…</a>',
            records_of("auditevent", commit.trace_id),
            commit.trace_id,
            commit.trace_id[:8],
        )
