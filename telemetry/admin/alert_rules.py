"""Alert rules: the list, the form, and what a rule would have done over the stored past."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from telemetry.admin.acts import ActsAdmin, operator_of
from telemetry.admin.alert_charts import chart, frame
from telemetry.admin.alert_rule_form import FIELDSETS, AlertRuleForm, TriedForm
from telemetry.admin.alert_words import SEVERITIES, figure_words, labels_words, length_words, rule_sentence
from telemetry.admin.generic import AnyForm
from telemetry.alerts.evaluation import CannotBeAsked
from telemetry.alerts.preview import DAY, WEEK, Preview, preview
from telemetry.alerts.rule_acts import save_rule
from telemetry.clock import database_now
from telemetry.metrics.definitions import METRICS, Source
from telemetry.metrics.rollups import watermark
from telemetry.models import AlertChannel, AlertInstance, AlertRule, AlertState
from telemetry.visible import visible
from telemetry.wording import ago, seen, span_words

TRY = "_try"
LENGTHS = {"day": DAY, "week": WEEK}
EPISODES_SHOWN = 50


class HealthFilter(DropdownFilter):
    title = "evaluation"
    parameter_name = "evaluation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("failed", "failed"), ("cut", "too many label sets")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> QuerySet[AlertRule]:
        chosen = {"failed": ~Q(health__error="") & Q(health__isnull=False), "cut": Q(health__left_out__gt=0)}
        wanted = chosen.get(self.value() or "")
        return queryset.filter(wanted) if wanted is not None else queryset


@admin.register(AlertRule)
class AlertRuleAdmin(ActsAdmin):
    subject_kind = "alert_rule"
    form = AlertRuleForm
    fieldsets = FIELDSETS
    list_display = ("name", "question", "firing", "severity_label", "told", "enabled_label", "evaluation")
    list_filter = (("severity", ChoicesDropdownFilter), "enabled", HealthFilter)
    list_select_related = ("health",)
    search_fields = ("name", "metric", "description", "tool_name", "service")
    search_help_text = "Name, figure, tool or service."
    change_form_outer_before_template = "telemetry/alert_rule_top.html"
    change_form_after_template = "telemetry/alert_rule_try.html"

    class Media:
        css = {"all": ["observatory/policy.css", "observatory/alerts.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertRule]:
        found: QuerySet[AlertRule] = super().get_queryset(request)
        return found.annotate(
            firing_now=Count("instances", filter=Q(instances__state=AlertState.FIRING), distinct=True)
        ).prefetch_related(Prefetch("channels", AlertChannel.objects.only("name", "enabled")))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name == "description":
            field.widget.attrs["rows"] = 3
        return field

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if request.method == "POST" and TRY in request.POST:
            kwargs["form"] = TriedForm
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: AlertRule, form: AnyForm, change: bool) -> None:
        save_rule(obj, form.cleaned_data["channels"], operator_of(request), database_now())

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        form = context["adminform"].form
        context |= {"show_save_and_add_another": False, "lengths": [("day", "24 hours"), ("week", "7 days")]}
        if isinstance(form, TriedForm) and form.was_valid:
            context["tried"] = tried(form.instance, LENGTHS.get(request.POST[TRY], DAY))
        return super().render_change_form(request, context, *args, **kwargs)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        rule = self.get_object(request, object_id)
        found = _page_context(rule) if isinstance(rule, AlertRule) else {}
        page: HttpResponse = super().change_view(request, object_id, form_url, found | (extra_context or {}))
        return page

    @display(description="When")
    def question(self, rule: AlertRule) -> str:
        return seen(rule_sentence(rule), 160)

    @display(description="Fires", ordering="firing_now")
    def firing(self, rule: Any) -> SafeString | str:
        if not rule.firing_now:
            return "–"
        return format_html('<a class="record-link" href="{}">{}</a>', alerts_of(rule), f"{rule.firing_now} now")

    @display(description="Severity", ordering="severity", label=SEVERITIES)
    def severity_label(self, rule: AlertRule) -> str:
        return rule.severity

    @display(description="Tells")
    def told(self, rule: AlertRule) -> str:
        return seen(", ".join(channel.name for channel in rule.channels.all()), 60) or "nobody"

    @display(description="On", ordering="enabled", label={"on": "success", "off": "info"})
    def enabled_label(self, rule: AlertRule) -> str:
        return "on" if rule.enabled else "off"

    @display(description="Last asked")
    def evaluation(self, rule: AlertRule) -> SafeString | str:
        return health_words(rule)


def health_words(rule: AlertRule) -> SafeString | str:
    """How the last evaluation went; what is wrong is said in full."""
    health = getattr(rule, "health", None)
    if health is None:
        return "never"
    if health.error:
        return format_html('<span class="urgent">{}</span>', visible(health.error))
    if health.left_out:
        return format_html('<span class="urgent">{} label sets left out</span>', health.left_out)
    return ago(health.evaluated_at)


def alerts_of(rule: AlertRule) -> str:
    return f"{reverse('admin:telemetry_alertinstance_changelist')}?rule__id__exact={rule.pk}"


def _page_context(rule: AlertRule) -> dict[str, Any]:
    """What stands above the form: the question, what fires by it, how its last evaluation went."""
    return {
        "rule": rule,
        "sentence": rule_sentence(rule),
        "open_alerts": AlertInstance.objects.open().filter(rule=rule).count(),
        "alerts_link": alerts_of(rule),
        "health": health_words(rule),
    }


def tried(rule: AlertRule, length: dt.timedelta) -> dict[str, Any]:
    """What a rule as typed would have done. Shape: sentence, chart, legend, episodes, note."""
    mark = watermark()
    metric = METRICS.get(rule.metric)
    if mark is None and metric is not None and metric.source is not Source.GAUGE:
        return {
            "sentence": rule_sentence(rule),
            "note": "Nothing has been summed up yet: there is no past to try it on.",
        }
    try:
        found = preview(rule, mark or database_now(), length)
    except CannotBeAsked as problem:
        return {"sentence": rule_sentence(rule), "note": str(problem)}
    if found.metric.source is Source.GAUGE:
        return _tried_now(rule, found)
    lines = [line.points for line in found.drawn]
    bands = [(one.fired_at, one.ended_at or found.ends) for line in found.drawn for one in line.episodes]
    drawn = frame(lines, found.begins, found.ends, rule.threshold)
    return {
        "sentence": rule_sentence(rule),
        "headline": _headline(found, length),
        "chart": chart(lines, bands, drawn, rule.threshold, found.metric.unit),
        "legend": [labels_words({**rule.filters, **line.labels}) for line in found.drawn],
        "more_lines": max(len(found.lines) - len(found.drawn), 0),
        "episodes": [_episode(rule, one) for one in found.episodes[:EPISODES_SHOWN]],
        "more_episodes": max(len(found.episodes) - EPISODES_SHOWN, 0),
        "note": _how(rule, found),
    }


def _headline(found: Preview, length: dt.timedelta) -> str:
    times, words = len(found.episodes), "24 hours" if length == DAY else "7 days"
    if not any(value is not None for line in found.lines for _, value in line.points):
        return f"There is no figure in the past {words}."
    often = "once" if times == 1 else f"{times} times"
    return (
        f"It would have fired {often} in the past {words}."
        if times
        else f"It would not have fired in the past {words}."
    )


def _how(rule: AlertRule, found: Preview) -> str:
    wide = f", over {length_words(found.window_s)} and not {length_words(rule.window_s)}"
    shown = wide if found.window_s != rule.window_s else ""
    return f"Tried every {length_words(found.step_s)}{shown}, up to {found.ends:%Y-%m-%d %H:%M} UTC. Nothing was saved."


def _tried_now(rule: AlertRule, found: Preview) -> dict[str, Any]:
    out = len(found.episodes)
    return {
        "sentence": rule_sentence(rule),
        "headline": f"Out of bounds now: {out} of {len(found.lines)}." if out else "Nothing is out of bounds now.",
        "episodes": [_episode(rule, one) for one in found.episodes[:EPISODES_SHOWN]],
        "more_episodes": max(out - EPISODES_SHOWN, 0),
        "note": "How things stand is not kept, so it is tried on this moment only. Nothing was saved.",
    }


def _episode(rule: AlertRule, one: Any) -> dict[str, Any]:
    return {
        "labels": labels_words({**rule.filters, **one.labels}),
        "fired_at": one.fired_at,
        "ended_at": one.ended_at,
        "lasted": span_words(one.ended_at - one.fired_at) if one.ended_at else "",
        "value": figure_words(rule, one.value),
        "worst": figure_words(rule, one.worst),
    }
