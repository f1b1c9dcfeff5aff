"""What operators do to alert rules: check, change and event together."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from telemetry.alerts.moves import end_changed, tell_newly_named
from telemetry.metrics.definitions import METRICS, Metric, Source, Unit
from telemetry.metrics.gauges import read_gauge
from telemetry.models import AlertChannel, AlertRule
from telemetry.recorder import Actor, Subject, record_event

# A change of one of these asks something else: what fires by the old question is over.
ASKS = (
    *("metric", "comparison", "threshold", "window_s", "min_samples", "for_s", "no_data"),
    *AlertRule.FILTERS,
    "group_by",
)
TELLS = ("name", "description", "severity", "keep_firing_s", "repeat_s", "enabled")
MINUTE_S, WEEK_S = 60, 604_800
# What a gauge's rule has for a window: it is read as it stands.
NO_WINDOW_S = MINUTE_S


def rule_problems(rule: AlertRule) -> dict[str, str]:
    """What is wrong with a rule as typed, by field."""
    metric = METRICS.get(rule.metric)
    if metric is None:
        return {"metric": "There is no such metric. Choose one of the list."}
    found = [
        ("threshold", _threshold_problem(metric, rule.threshold)),
        ("window_s", _window_problem(metric, rule.window_s)),
        ("group_by", _label_problem(metric, rule.group_by)),
        ("repeat_s", "" if rule.repeat_s == 0 or rule.repeat_s >= MINUTE_S else "0, or at least 60."),
        *((name, "At most 604800: a week.") for name in ("for_s", "keep_firing_s") if getattr(rule, name) > WEEK_S),
    ]
    return {name: problem for name, problem in found if problem}


def _threshold_problem(metric: Metric, threshold: float) -> str:
    if not math.isfinite(threshold):
        return "A number."
    if metric.unit is Unit.RATIO and not 0 <= threshold <= 1:
        return "A share is from 0 to 1: 0.10 is ten in a hundred."
    return ""


def _window_problem(metric: Metric, window_s: int) -> str:
    if metric.source is Source.GAUGE:
        return (
            "" if window_s == NO_WINDOW_S else "This figure is read as it stands now: it has no window. Leave it empty."
        )
    return "" if window_s and window_s % MINUTE_S == 0 else "Whole minutes, in seconds, e.g. 300."


def _label_problem(metric: Metric, group_by: Iterable[str]) -> str:
    """Spans have every label; a gauge has those of its readings, where it has any now."""
    if metric.source is not Source.GAUGE:
        return ""
    readings = read_gauge(metric.of)
    known = {name for reading in readings for name in reading.labels}
    unknown = sorted(set(group_by) - known) if readings else []
    return (
        f"This figure has no {', '.join(unknown)}: it has {', '.join(sorted(known)) or 'no labels'}." if unknown else ""
    )


def save_rule(rule: AlertRule, channels: Iterable[AlertChannel], actor: Actor, now: dt.datetime) -> AlertRule:
    """The rule is asked as given from the next minute on. What fires by what it asked before is over, and told so."""
    if problems := rule_problems(rule):
        raise ValidationError(problems)
    chosen = list(channels)
    with transaction.atomic():
        before = AlertRule.objects.select_for_update().filter(pk=rule.pk).first() if rule.pk else None
        was = _told(before, before.channels.all()) if before else None
        rule.revision = before.revision + _is_other(before, rule) if before else 1
        rule.full_clean()
        rule.save()
        rule.channels.set(chosen)
        is_now = _told(rule, chosen)
        if was is None:
            record_event("alert_rule.created", actor, _subject(rule), data=is_now)
        elif changed := {name: {"from": was[name], "to": is_now[name]} for name in was if was[name] != is_now[name]}:
            record_event("alert_rule.changed", actor, _subject(rule), data=changed | {"revision": rule.revision})
        end_changed(now)
        tell_newly_named(rule, now)
    return rule


def _is_other(before: AlertRule, after: AlertRule) -> bool:
    return any(getattr(before, name) != getattr(after, name) for name in ASKS)


def _told(rule: AlertRule, channels: Iterable[AlertChannel]) -> dict[str, Any]:
    facts = {name: getattr(rule, name) for name in (*ASKS, *TELLS)}
    return facts | {"group_by": list(rule.group_by), "channels": sorted(channel.name for channel in channels)}


def _subject(rule: AlertRule) -> Subject:
    return Subject("alert_rule", str(rule.pk), rule.name)
