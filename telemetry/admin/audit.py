import re
import uuid
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, TextFilter
from unfold.decorators import display

from telemetry.admin.acts import shown
from telemetry.admin.base import ReadOnlyAdmin
from telemetry.admin.time_filter import TimeRangeFilter
from telemetry.event_types import EVENT_TYPES
from telemetry.models import AuditEvent
from telemetry.wording import moment, seen

TRACE_ID = re.compile(r"[0-9a-f]{32}")
# Kinds of event by their look in lists: what went wrong, what waits, what was changed by a person.
LABELS = {
    "call.denied": "danger",
    "call.held": "warning",
    "action.requested": "warning",
    "action.unknown": "danger",
    "action.failed": "danger",
    "action.rejected": "danger",
    "action.revoked": "danger",
    "switch.engaged": "danger",
    "key.revoked": "danger",
    "policy.publish_refused": "danger",
    "payload.read": "info",
}


def records_of(kind: str, trace_id: str) -> str:
    """The list of audit events ("auditevent") or spans ("span") of one trace."""
    return f"{reverse(f'admin:telemetry_{kind}_changelist')}?q={trace_id}"


def trace_address(trace_id: str) -> str:
    """The page of one trace: its waterfall and its audit events."""
    return reverse("admin:telemetry_trace", args=[trace_id])


def trace_words(trace_id: str) -> SafeString | str:
    """The whole id, as a link to its page; nothing where there is none."""
    if not trace_id:
        return ""
    return format_html('<a class="record-link" href="{}">{}</a>', trace_address(trace_id), trace_id)


class EventTypeFilter(DropdownFilter):
    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        families = sorted({name.split(".")[0] for name in EVENT_TYPES})
        return [(f"{family}.", f"{family}: any") for family in families] + [(name, name) for name in EVENT_TYPES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        chosen = self.value()
        if not chosen:
            return queryset
        return queryset.filter(type__startswith=chosen) if chosen.endswith(".") else queryset.filter(type=chosen)


class SubjectFilter(TextFilter):
    """One thing's own history, as `kind:id`: the History button of its page leads here."""

    title = "subject (kind:id)"
    parameter_name = "subject"

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        kind, _, subject_id = (self.value() or "").replace("\x00", "").strip().partition(":")
        return queryset.filter(subject_kind=kind, subject_id=subject_id) if kind else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("when", "type_label", "actor_seen", "subject_seen", "outcome", "rule_seen", "trace_link")
    list_filter = (
        EventTypeFilter,
        SubjectFilter,
        ("actor_kind", ChoicesDropdownFilter),
        ("occurred_at", TimeRangeFilter),
    )
    search_fields = ("trace_id",)
    search_help_text = "A trace id, or exactly: an actor, a subject (name or id), a reason code."
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("when", "type_label", "meaning", "actor_seen", "subject_seen", "subject_id")}),
        ("Decision", {"fields": ("decision", "reason", "policy", "policy_revision", "rule_seen")}),
        ("What else is known", {"fields": ("facts_shown", "trace_link", "spans_link", "id", "transaction_id")}),
    )
    readonly_fields = (
        "when",
        "type_label",
        "meaning",
        "actor_seen",
        "subject_seen",
        "outcome",
        "rule_seen",
        "facts_shown",
        "trace_link",
        "spans_link",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        """A trace is found by its index; other words are compared whole, from the newest event backwards."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if TRACE_ID.fullmatch(term):
            return queryset.filter(trace_id=term), False
        return queryset.filter(Q(actor=term) | Q(subject=term) | Q(subject_id=_as_id(term)) | Q(reason=term)), False

    @display(description="When (UTC)", ordering="id")
    def when(self, event: AuditEvent) -> SafeString:
        return moment(event.occurred_at)

    @display(description="Type", label=LABELS)
    def type_label(self, event: AuditEvent) -> str:
        return event.type

    @display(description="Meaning")
    def meaning(self, event: AuditEvent) -> str:
        return EVENT_TYPES.get(event.type, "")

    @display(description="Actor", ordering=None)
    def actor_seen(self, event: AuditEvent) -> str:
        name = seen(event.actor, 40)
        return f"{name} (operator)" if event.actor_kind == AuditEvent.Actor.OPERATOR else name

    @display(description="Subject")
    def subject_seen(self, event: AuditEvent) -> str:
        kind = event.subject_kind.replace("_", " ")
        return f"{kind}: {seen(event.subject, 50)}" if kind else ""

    @display(description="Decision")
    def outcome(self, event: AuditEvent) -> str:
        return " · ".join(part for part in (event.decision, event.reason) if part)

    @display(description="Rule")
    def rule_seen(self, event: AuditEvent) -> str:
        return seen(event.rule, 120)

    @display(description="Trace")
    def trace_link(self, event: AuditEvent) -> SafeString | str:
        if not event.trace_id:
            return ""
        return format_html(
            '<a class="record-link short" href="{}" title="{}">{}…</a>',
            records_of("auditevent", event.trace_id),
            event.trace_id,
            event.trace_id[:8],
        )

    @display(description="Spans")
    def spans_link(self, event: AuditEvent) -> SafeString | str:
        if not event.trace_id:
            return ""
        return format_html(
            '<a class="record-link" href="{}">Waterfall of trace {}</a>', trace_address(event.trace_id), event.trace_id
        )

    @display(description="Data")
    def facts_shown(self, event: AuditEvent) -> SafeString:
        return shown(event.facts)


def _as_id(term: str) -> str:
    """Ids as events write them: a UUID with its dashes."""
    try:
        return str(uuid.UUID(term))
    except ValueError:
        return term
