"""Alerts: what fires now, what fired, who was told; each with its own timeline."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter, TextFilter
from unfold.decorators import display

from telemetry.admin.alert_charts import chart, frame
from telemetry.admin.alert_timeline import bars_of
from telemetry.admin.alert_words import SEVERITIES, STATES, figure_words, labels_words, rule_sentence
from telemetry.admin.base import ReadOnlyAdmin
from telemetry.admin.paging import UncountedChangeList
from telemetry.alerts.evaluation import CannotBeAsked
from telemetry.alerts.preview import DAY, preview
from telemetry.alerts.silences import silence_of, silenced
from telemetry.clock import database_now
from telemetry.dead_man import SWEEPS_STALE
from telemetry.metrics.definitions import Source
from telemetry.metrics.rollups import watermark
from telemetry.models import AlertInstance, AlertNotification, AlertRule, AlertSilence, AlertState
from telemetry.visible import visible
from telemetry.wording import ago, moment, seen

SHOWN = 100
URGENCY = Case(
    When(state=AlertState.FIRING, then=Value(0)), When(state=AlertState.PENDING, then=Value(1)), default=Value(2)
)
# What a reader wants to find an alert by.
LABELS = (("service", "service"), ("tool", "tool_name"), ("model", "model"), ("agent", "agent"))


class LabelFilter(TextFilter):
    """Alerts with exactly this label; one filter a label."""

    label = ""

    def queryset(self, request: HttpRequest, queryset: QuerySet[AlertInstance]) -> QuerySet[AlertInstance]:
        value = (self.value() or "").strip()
        return queryset.filter(**{f"labels__{self.label}": value}) if value else queryset


def label_filter(word: str, name: str) -> type[LabelFilter]:
    return type(f"{word.capitalize()}Filter", (LabelFilter,), {"title": word, "parameter_name": word, "label": name})


class AlertChangeList(UncountedChangeList):
    """Each alert of the page with whether anybody is told of it, by one query for the silences."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        silent = silenced(self.result_list, database_now())
        for row in self.result_list:
            row.is_silenced = row.pk in silent


@admin.register(AlertInstance)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("state_label", "rule_seen", "labels_seen", "figure", "bound", "since_seen", "severity", "silence")
    # A phone shows the first column under its own head only where that leads on too.
    list_display_links = ("state_label", "rule_seen")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("rule", RelatedDropdownFilter),
        ("rule__severity", ChoicesDropdownFilter),
        *(label_filter(word, name) for word, name in LABELS),
    )
    list_select_related = ("rule",)
    search_fields = ("rule__name", "rule__metric")
    search_help_text = "The rule's name or its figure."
    ordering = (URGENCY, "-since")
    list_before_template = "telemetry/alerts_top.html"
    change_form_outer_after_template = "telemetry/alert.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "state_label",
                    "rule_link",
                    "labels_seen",
                    "figure",
                    "bound",
                    "samples",
                    "since_seen",
                    "looked",
                )
            },
        ),
    )
    readonly_fields = ("state_label", "rule_link", "labels_seen", "figure", "bound", "samples", "since_seen", "looked")

    class Media:
        css = {"all": ["observatory/policy.css", "observatory/alerts.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[AlertChangeList]:
        return AlertChangeList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        page: HttpResponse = super().changelist_view(request, _how_old() | (extra_context or {}))
        return page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        alert = self.get_object(request, object_id)
        found = _page_context(alert) if isinstance(alert, AlertInstance) else {}
        page: HttpResponse = super().change_view(request, object_id, form_url, found | (extra_context or {}))
        return page

    @display(description="State", label=STATES)
    def state_label(self, alert: AlertInstance) -> str:
        return alert.state

    @display(description="Rule", ordering="rule__name")
    def rule_seen(self, alert: AlertInstance) -> str:
        return seen(alert.rule.name, 80)

    @display(description="Rule")
    def rule_link(self, alert: AlertInstance) -> SafeString:
        link = reverse("admin:telemetry_alertrule_change", args=[alert.rule_id])
        words = f"{visible(alert.rule.name)}: when {rule_sentence(alert.rule)}"
        return format_html('<a class="record-link" href="{}">{}</a>', link, words)

    @display(description="Of")
    def labels_seen(self, alert: AlertInstance) -> str:
        return seen(labels_words(alert.labels), 120)

    @display(description="Figure")
    def figure(self, alert: AlertInstance) -> str:
        return figure_words(alert.rule, alert.value)

    @display(description="Bound")
    def bound(self, alert: AlertInstance) -> str:
        return f"{alert.rule.comparison} {figure_words(alert.rule, alert.rule.threshold)}"

    @display(description="Since (UTC)", ordering="since")
    def since_seen(self, alert: AlertInstance) -> SafeString:
        return format_html("<span>{} ({})</span>", moment(alert.since), ago(alert.since))

    @display(description="Figures up to (UTC)")
    def looked(self, alert: AlertInstance) -> SafeString:
        return moment(alert.evaluated_at)

    @display(description="Severity", ordering="rule__severity", label=SEVERITIES)
    def severity(self, alert: AlertInstance) -> str:
        return alert.rule.severity

    @display(description="Silenced", label={"silenced": "warning"})
    def silence(self, alert: Any) -> str | None:
        return "silenced" if getattr(alert, "is_silenced", False) else None


def _how_old() -> dict[str, Any]:
    """Up to when figures are complete; a notice where that is long ago."""
    mark, now = watermark(), database_now()
    return {"mark": mark, "is_old": mark is None or now - mark > SWEEPS_STALE, "mark_age": ago(mark)}


def silence_link(alert: AlertInstance) -> str:
    """The form of a silence, with this alert's rule and labels filled in."""
    named = {name: alert.labels[name] for name in AlertSilence.MATCHERS if alert.labels.get(name)}
    return f"{reverse('admin:telemetry_alertsilence_add')}?{urlencode({'rule': alert.rule_id} | named)}"


def _page_context(alert: AlertInstance) -> dict[str, Any]:
    """What stands below the facts: its day, what became of it when, and who was told."""
    now = database_now()
    transitions = list(alert.transitions.order_by("-id")[:SHOWN])
    notifications = alert.notifications.select_related("channel", "silenced_by").order_by("-version", "channel__name")
    return {
        "alert": alert,
        "bar": bars_of([alert], now - DAY, now)[0]["bar"],
        "chart": _chart(alert, transitions, now),
        "transitions": [{"row": one, "value": figure_words(alert.rule, one.value)} for one in transitions],
        "notifications": [{"row": one, "became": _became(one, now)} for one in notifications[:SHOWN]],
        "silence": silence_of(alert, now),
        "silence_link": silence_link(alert),
        "is_open": alert.state in (AlertState.FIRING, AlertState.PENDING),
    }


def _became(told: AlertNotification, now: dt.datetime) -> str:
    """What became of a message, in words."""
    error = visible(told.last_error)
    if told.sent_at:
        return f"sent {ago(told.sent_at)}{f' at attempt {told.attempts}' if told.attempts > 1 else ''}"
    if told.next_attempt_at is None:
        return f"not sent: {error}"
    if told.silenced_by and told.next_attempt_at > now:
        return f"held back by a silence until {told.next_attempt_at:%Y-%m-%d %H:%M} UTC"
    if told.attempts:
        return f"tried {told.attempts} time{'' if told.attempts == 1 else 's'}: {error or 'under way'}"
    return "waits to be sent"


def _chart(alert: AlertInstance, transitions: list[Any], now: dt.datetime) -> SafeString | str:
    """The alert's own figure over the last day, and when it really fired; nothing where figures are not kept."""
    rule, mark = alert.rule, watermark()
    if mark is None:
        return ""
    one = AlertRule(
        metric=rule.metric,
        comparison=rule.comparison,
        threshold=rule.threshold,
        window_s=rule.window_s,
        min_samples=rule.min_samples,
        **{name: alert.labels.get(name, "") for name in AlertRule.FILTERS},
    )
    try:
        found = preview(one, mark, DAY)
    except CannotBeAsked:
        return ""
    if found.metric.source is Source.GAUGE:
        return ""
    lines = [line.points for line in found.drawn]
    ends, bands = now, []
    for moved in transitions:
        if moved.became == AlertState.FIRING:
            bands.append((moved.at, ends))
        ends = moved.at
    drawn = frame(lines, found.begins, found.ends, rule.threshold)
    return chart(lines, [band for band in bands if band[1] > found.begins], drawn, rule.threshold, found.metric.unit)
