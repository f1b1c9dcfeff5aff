from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from telemetry.admin.audit import TRACE_ID, records_of
from telemetry.admin.base import ReadOnlyAdmin
from telemetry.wording import seen
from tools.models import IdempotencyRecord

LABELS = {"Running": "info", "Waits for a decision": "warning", "Done": "success", "Outcome unknown": "danger"}


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "agent", "tool_name", "key_seen", "status_label", "reason", "expires_at")
    list_select_related = ("agent",)
    list_filter = (("status", ChoicesDropdownFilter), ("agent", RelatedDropdownFilter))
    search_fields = ("key",)
    search_help_text = "A trace id, or exactly: an idempotency key, a tool."
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": ("agent", "tool_name", "key_seen", "status_label", "reason")}),
        ("What it stands for", {"fields": ("args_digest", "action_link", "trace_link")}),
        ("Until when", {"fields": ("created_at", "lease_until", "expires_at", "fence")}),
    )
    readonly_fields = ("key_seen", "status_label", "action_link", "trace_link")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[IdempotencyRecord], search_term: str
    ) -> tuple[QuerySet[IdempotencyRecord], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if TRACE_ID.fullmatch(term):
            return queryset.filter(trace_id=term), False
        return queryset.filter(Q(key=term) | Q(tool_name=term)), False

    @display(description="Idempotency key")
    def key_seen(self, record: IdempotencyRecord) -> str:
        return seen(record.key, 255)

    @display(description="Status", label=LABELS)
    def status_label(self, record: IdempotencyRecord) -> str:
        return record.get_status_display()

    @display(description="Pending action")
    def action_link(self, record: IdempotencyRecord) -> SafeString | str:
        if record.action_id is None:
            return ""
        try:
            address = reverse("admin:approvals_pendingaction_change", args=[record.action_id])
        except NoReverseMatch:
            return str(record.action_id)
        return format_html('<a class="record-link" href="{}">{}</a>', address, record.action_id)

    @display(description="Trace")
    def trace_link(self, record: IdempotencyRecord) -> SafeString | str:
        if not record.trace_id:
            return ""
        address = records_of("auditevent", record.trace_id)
        return format_html('<a class="record-link" href="{}">{}</a>', address, record.trace_id)
