"""The form of an alert rule, in words; with it a rule can be tried on the past before it is saved."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from telemetry.admin.generic import AnyForm
from telemetry.alerts.rule_acts import NO_WINDOW_S, rule_problems
from telemetry.metrics.definitions import METRICS, SNAPSHOT, Metric, Source
from telemetry.models import AlertChannel, AlertRule

FIELDSETS = (
    (None, {"fields": ("name", "enabled")}),
    (
        "When",
        {
            "fields": ("metric", "comparison", "threshold", "window_s"),
            "description": "e.g. when “Calls that failed” is above 0.10 over 600 s.",
        },
    ),
    (
        "Of which calls",
        {
            "fields": ("service", "model", "tool_name", "agent", "group_by"),
            "description": "Empty: of all. Grouped, each value has an alert of its own, at most 500 at a time.",
        },
    ),
    ("For how long", {"fields": ("for_s", "keep_firing_s", "min_samples", "no_data")}),
    (
        "Who is told",
        {"fields": ("severity", "channels", "repeat_s", "description")},
    ),
)
_GAUGE = "How things stand now (no window)"


def metric_choices() -> list[Any]:
    """Every metric that this installation has, by kind."""
    names = {metric.name for metric in SNAPSHOT}
    groups: dict[str, list[tuple[str, str]]] = {"Answers of models": [], "Calls": [], _GAUGE: []}
    for metric in METRICS.values():
        groups[_group(metric, names)].append((metric.name, f"{metric.title} ({metric.name}, {metric.unit})"))
    return [("", "Choose a figure"), *groups.items()]


def _group(metric: Metric, snapshot: set[str]) -> str:
    if metric.source is Source.GAUGE:
        return _GAUGE
    return "Answers of models" if metric.name in snapshot else "Calls"


class AlertRuleForm(AnyForm):
    metric = forms.ChoiceField(
        label="Figure",
        widget=UnfoldAdminSelectWidget(),
        help_text="e.g. Calls that failed. A share is of all calls in the window.",
    )
    window_s = forms.IntegerField(
        label="Window (s)",
        required=False,
        min_value=60,
        max_value=86_400,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="Over how much of the past, in whole minutes, e.g. 600. Leave it empty for how things stand now.",
    )
    group_by = forms.MultipleChoiceField(
        label="Grouped by",
        required=False,
        choices=AlertRule.GroupBy.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="e.g. Tool: then each tool that is out of bounds is an alert. None: one alert for all together.",
    )
    channels = forms.ModelMultipleChoiceField(
        queryset=AlertChannel.objects.all(),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="None: it is seen here and by GET /telemetry/alerts only.",
    )

    class Meta:
        model = AlertRule
        fields = tuple(name for _, options in FIELDSETS for name in options["fields"])
        help_texts = {
            "comparison": "e.g. above, for what should be low.",
            "min_samples": "With fewer in the window there is no figure, e.g. 20: one failure of two calls is no rate. "
            "Sums and how things stand now need none.",
            "no_data": "What too few samples count as. A group without any call in the window is within bounds, unless "
            "this says out of bounds.",
            "severity": "PagerDuty gets it too; e.g. critical for what somebody must see at night.",
            "enabled": "Off: it is not asked. What fires then resolves, and is told so.",
            "service": "Only calls of this service, e.g. example-mcp. Empty: all.",
            "model": "Only of this model, e.g. gpt-4o. Empty: all.",
            "tool_name": "Only of this tool, e.g. create_ticket. Empty: all.",
            "agent": "Only of this agent, e.g. billing-agent. Empty: all.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        metric = self.fields.get("metric")
        if isinstance(metric, forms.ChoiceField):
            stored = self.instance.metric
            gone = [(stored, f"{stored} (not known here)")] if stored and stored not in METRICS else []
            metric.choices = [*metric_choices(), *gone]

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        metric = METRICS.get(found.get("metric", ""))
        if found.get("window_s") is None and "window_s" not in self.errors and metric is not None:
            if metric.source is Source.GAUGE:
                found["window_s"] = NO_WINDOW_S
            else:
                self.add_error("window_s", "Type over how many seconds, e.g. 600.")
        return found

    def _post_clean(self) -> None:
        """What the act would refuse is said at its field, also where nothing is to be saved."""
        super()._post_clean()  # type: ignore[misc]  # Django's own hook, which its stubs leave out
        if not self.errors:
            for field, problem in rule_problems(self.instance).items():
                self.add_error(field, problem)


class TriedForm(AlertRuleForm):
    """A form that is never saved: valid or not, the page is shown again with what the rule would have done."""

    was_valid = False

    def is_valid(self) -> bool:
        self.was_valid = super().is_valid()
        return False
