"""Alerts and rules in the words of operators' pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telemetry.alerts.messages import LABEL_WORDS, amount
from telemetry.metrics.definitions import METRICS, Source, Unit
from telemetry.models import AlertRule, AlertSilence
from telemetry.visible import visible

STATES = {"firing": "danger", "pending": "warning", "resolved": "success", "inactive": "info"}
SEVERITIES = {"critical": "danger", "warning": "warning", "info": "info"}


def length_words(seconds: int) -> str:
    """40 s, 5 min, 2 h, 1 day: only what is exact."""
    for unit, size in (("day", 86_400), ("h", 3_600), ("min", 60)):
        if seconds and seconds % size == 0:
            number = seconds // size
            return f"{number} {unit}{'s' if unit == 'day' and number != 1 else ''}"
    return f"{seconds} s"


def labels_words(labels: Mapping[str, Any]) -> str:
    """tool create_ticket · service crm; of an alert without labels: everything."""
    return " · ".join(f"{LABEL_WORDS.get(n, n)} {visible(str(v))}" for n, v in sorted(labels.items())) or "everything"


def matchers_words(silence: AlertSilence) -> str:
    """What a silence is about."""
    named = {name: getattr(silence, name) for name in silence.MATCHERS if getattr(silence, name)}
    rule = f"rule {visible(silence.rule.name)}" if silence.rule else "any rule"
    return f"{rule} · {labels_words(named)}" if named else rule


def figure_words(rule: AlertRule, value: float | None) -> str:
    metric = METRICS.get(rule.metric)
    return amount(value, metric.unit if metric else Unit.NUMBER)


def rule_sentence(rule: AlertRule) -> str:
    """The whole question in one sentence."""
    metric = METRICS.get(rule.metric)
    if metric is None:
        return f"There is no metric {visible(rule.metric)} here."
    parts = [f"“{metric.title}” is {rule.comparison} {amount(rule.threshold, metric.unit)}"]
    if metric.source is not Source.GAUGE:
        parts.append(f"over {length_words(rule.window_s)}")
    if rule.for_s:
        parts.append(f"for {length_words(rule.for_s)}")
    if rule.filters:
        parts.append(f"of {labels_words(rule.filters)}")
    if rule.group_by:
        parts.append(f"by {' and '.join(LABEL_WORDS[name] for name in rule.group_by)}")
    return " ".join(parts)
