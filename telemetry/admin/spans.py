from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, TextFilter
from unfold.decorators import display

from telemetry.admin.acts import shown
from telemetry.admin.audit import TRACE_ID, records_of, trace_address
from telemetry.admin.base import ReadOnlyAdmin
from telemetry.admin.time_filter import TimeRangeFilter
from telemetry.admin.trace_page import trace_page
from telemetry.models import Span
from telemetry.wording import moment, seen

# The coarse words of decisions on the wire; whatever starts with "denied" was refused.
DECISIONS = (
    ("ok", "Ran"),
    ("denied", "Denied: any"),
    ("denied_policy", "Denied: policy"),
    ("denied_schema", "Denied: arguments"),
    ("denied_rate", "Denied: rate"),
    ("denied_frozen", "Denied: frozen"),
    ("denied_state", "Denied: state"),
    ("denied_request", "Denied: request"),
    ("denied_key", "Denied: key"),
    ("held", "Held for a person"),
    ("replayed", "Replayed"),
    ("dry_run", "Dry run"),
    ("error", "Error"),
)
LABELS = {"ok": "success", "held": "warning", "error": "danger", "replayed": "info", "dry_run": "info"} | {
    name: "danger" for name, _ in DECISIONS if name.startswith("denied")
}


class DecisionFilter(DropdownFilter):
    title = "decision"
    parameter_name = "decision"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        return DECISIONS

    def queryset(self, request: HttpRequest, queryset: QuerySet[Span]) -> QuerySet[Span]:
        chosen = self.value()
        if chosen == "denied":
            return queryset.filter(decision__startswith="denied")
        return queryset.filter(decision=chosen) if chosen else queryset


class ExactFilter(TextFilter):
    """Spans whose column is the whole of what was typed."""

    column = ""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Span]) -> QuerySet[Span]:
        return queryset.filter(**{self.column: self.value().strip()}) if self.value() else queryset


def exact(title: str, column: str) -> type[ExactFilter]:
    """A filter of its own for a column, under its title in the address."""
    return type(
        f"{title.capitalize()}Filter", (ExactFilter,), {"title": title, "parameter_name": title, "column": column}
    )


@admin.register(Span)
class SpanAdmin(ReadOnlyAdmin):
    list_display = ("when", "what", "agent_seen", "decision_label", "reason", "rule_seen", "took", "trace_link")
    list_filter = (
        DecisionFilter,
        exact("tool", "tool_name"),
        exact("agent", "agent"),
        exact("service", "service"),
        exact("model", "model"),
        ("origin", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("start_time", TimeRangeFilter),
    )
    search_fields = ("trace_id",)
    search_help_text = "A trace id, or exactly: a tool, an agent, a key's public id, a reason code."
    ordering = ("-start_time",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "what",
                    "kind",
                    "service",
                    "agent_seen",
                    "agent_key",
                    "access_subject",
                    "door",
                    "when",
                    "took",
                )
            },
        ),
        ("Decision", {"fields": ("decision_label", "reason", "stage", "policy", "policy_revision", "rule_seen")}),
        ("Stages", {"fields": ("stages_shown",)}),
        (
            "Model and cost",
            {
                "fields": (
                    ("provider", "model"),
                    ("prompt_tokens", "completion_tokens", "token_source"),
                    ("cost_seen", "cost_source"),
                    ("retries", "fallback_used", "deterministic_fallback"),
                )
            },
        ),
        (
            "Verdicts on the answer",
            {
                "fields": (
                    ("confidence", "confidence_gate_blocked"),
                    ("prompt_diff_score", "high_risk_path"),
                    ("shadow_agreement", "shadow_disagreement_score"),
                    "golden_passed",
                )
            },
        ),
        ("As reported", {"fields": ("origin", "name_seen", "error_type", "attributes_shown", "recorded_at")}),
        (
            "Trace",
            {"fields": ("trace_page_link", "trace_id", "span_id", "parent_span_id", "session_id", "events_link")},
        ),
    )
    readonly_fields = (
        "when",
        "what",
        "agent_seen",
        "decision_label",
        "rule_seen",
        "took",
        "trace_link",
        "stages_shown",
        "events_link",
        "trace_page_link",
        "cost_seen",
        "name_seen",
        "attributes_shown",
    )

    def get_urls(self) -> list[URLPattern]:
        """The page of a trace stands beside the list of spans."""
        view = self.admin_site.admin_view(trace_page)
        page = path("trace/<str:trace_id>/", view, {"site": self.admin_site}, "telemetry_trace")
        return [page, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Span], search_term: str
    ) -> tuple[QuerySet[Span], bool]:
        """A trace is found by its index; other words are compared whole, from the newest span backwards."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if TRACE_ID.fullmatch(term):
            return queryset.filter(trace_id=term), False
        return queryset.filter(Q(tool_name=term) | Q(agent=term) | Q(agent_key=term) | Q(reason=term)), False

    @display(description="Began (UTC)", ordering="start_time")
    def when(self, span: Span) -> SafeString:
        return moment(span.start_time)

    @display(description="Call")
    def what(self, span: Span) -> str:
        return seen(span.tool_name or span.model or span.name or span.get_kind_display(), 64)

    @display(description="Agent")
    def agent_seen(self, span: Span) -> str:
        return seen(span.agent, 40)

    @display(description="Decision", label=LABELS)
    def decision_label(self, span: Span) -> str:
        return span.decision

    @display(description="Rule")
    def rule_seen(self, span: Span) -> str:
        return seen(span.rule, 120)

    @display(description="Took")
    def took(self, span: Span) -> SafeString:
        return format_html('<span class="moment">{} ms</span>', f"{span.duration_ms:,.1f}")

    @display(description="Cost, USD")
    def cost_seen(self, span: Span) -> str:
        return "unknown" if span.cost_usd is None else f"{span.cost_usd.normalize():f}"

    @display(description="Trace")
    def trace_link(self, span: Span) -> SafeString:
        return format_html(
            '<a class="record-link short" href="{}" title="The whole of trace {}">{}…</a>',
            trace_address(span.trace_id),
            span.trace_id,
            span.trace_id[:8],
        )

    @display(description="Whole trace")
    def trace_page_link(self, span: Span) -> SafeString:
        return format_html('<a class="record-link" href="{}">Waterfall</a>', trace_address(span.trace_id))

    @display(description="Name")
    def name_seen(self, span: Span) -> str:
        return seen(span.name, 120)

    @display(description="Attributes")
    def attributes_shown(self, span: Span) -> SafeString | str:
        return shown(span.attributes) if span.attributes else ""

    @display(description="Audit events")
    def events_link(self, span: Span) -> SafeString:
        return format_html(
            '<a class="record-link" href="{}">Audit events of trace {}</a>',
            records_of("auditevent", span.trace_id),
            span.trace_id,
        )

    @display(description="Time in each stage")
    def stages_shown(self, span: Span) -> SafeString | str:
        if not isinstance(span.stages_us, dict) or not span.stages_us:
            return ""
        rows = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td></tr>",
            ((name, f"{microseconds / 1000:,.2f} ms") for name, microseconds in span.stages_us.items()),
        )
        return format_html('<table class="stage-times"><tbody>{}</tbody></table>', rows)
