"""Every rule that is on is asked, over the window that ends at the rollups' watermark; an alert a set of labels."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from telemetry.alerts.moves import dedupe_key, end_changed, keep, standing_of, terms_of
from telemetry.alerts.step import Condition, Finding, step
from telemetry.metrics.definitions import METRICS, Metric, Source
from telemetry.metrics.figures import Figure, figures
from telemetry.metrics.rollups import watermark
from telemetry.models import AlertInstance, AlertRule, AlertRuleHealth, AlertState, Heartbeat
from telemetry.visible import visible

log = logging.getLogger(__name__)
HEARTBEAT = "alerts"
# More alerts of one rule than this are no news to anybody; the worst are kept.
MOST_LABEL_SETS = 500
MINUTE = dt.timedelta(minutes=1)
NoData = AlertRule.NoData


class CannotBeAsked(Exception):
    """Why a rule can't be evaluated, for the operator who reads it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for one set of labels."""

    key: str
    labels: dict[str, str]
    condition: Condition


def evaluate(now: dt.datetime) -> int:
    """Every rule was asked once; how many alerts it was asked of. One rule's error is noted and stops no other."""
    mark, looked_at = watermark(), 0
    end_changed(now)
    for rule in AlertRule.objects.filter(enabled=True).prefetch_related("channels").order_by("pk"):
        try:
            looked_at += evaluate_rule(rule, mark, now)
        except Exception as error:
            if not isinstance(error, CannotBeAsked):
                log.exception("the alert rule %s was not evaluated", rule.pk)
            _note_failure(rule, error, now)
    Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": now})
    return looked_at


def metric_of(rule: AlertRule) -> Metric:
    """Raises CannotBeAsked for a metric that nobody registered."""
    try:
        return METRICS[rule.metric]
    except KeyError:
        raise CannotBeAsked(f"There is no metric {rule.metric} here.") from None


def evaluate_rule(rule: AlertRule, mark: dt.datetime | None, now: dt.datetime) -> int:
    """Each alert of the rule stands where the figures say; how many were looked at."""
    metric = metric_of(rule)
    # A gauge is of this moment: what watches the rollups must not stand still with them.
    at = now.replace(second=0, microsecond=0) if metric.source is Source.GAUGE else mark
    if at is None:
        return 0
    with transaction.atomic():
        found = find(rule, metric, at)
    known = {one.dedupe_key: one for one in _known(rule, found)}
    kept, left_out = worst_first(rule, found, [key for key, one in known.items() if _is_open(one)])
    instances = _all(rule, kept, known, at)
    conditions = {one.key: one.condition for one in found}
    terms = terms_of(rule)
    for instance in instances:
        condition = conditions.get(instance.dedupe_key) or Condition(Finding.GONE, at)
        keep(rule, instance, step(terms, standing_of(instance), condition, now), now)
    _note(rule, at, len(instances), left_out)
    return len(instances)


def find(rule: AlertRule, metric: Metric, at: dt.datetime) -> list[Found]:
    begins = at - dt.timedelta(seconds=rule.window_s)
    rows = figures(metric, begins=begins, ends=at, filters=rule.filters, group_by=rule.group_by)
    return [_found(rule, metric, figure, at) for figure in rows]


def _found(rule: AlertRule, metric: Metric, figure: Figure, at: dt.datetime) -> Found:
    labels = {**rule.filters, **figure.labels}
    return Found(dedupe_key(rule.pk, labels), labels, judged(rule, metric, at, figure.value, figure.samples))


def judged(rule: AlertRule, metric: Metric, at: dt.datetime, value: float | None, samples: int) -> Condition:
    """What a figure says of the rule's bound. Sums and gauges need no least number of samples: none is 0."""
    has_few = metric.source in (Source.RATE, Source.QUANTILE) and samples < rule.min_samples
    if value is None or has_few:
        return Condition(Finding.UNKNOWN, at, value, samples)
    is_above = rule.comparison == AlertRule.Comparison.ABOVE
    is_out = value > rule.threshold if is_above else value < rule.threshold
    return Condition(Finding.OUT if is_out else Finding.WITHIN, at, value, samples)


def worst_first(rule: AlertRule, found: Sequence[Found], open_keys: Sequence[str]) -> tuple[list[Found], int]:
    """What is to be an alert, and how much is not for want of room. What is one already always has room."""
    counts_all = rule.no_data == NoData.FIRE
    out = [one for one in found if counts_all or one.condition.finding is Finding.OUT]
    sign = -1 if rule.comparison == AlertRule.Comparison.ABOVE else 1
    standing, new = set(open_keys), []
    for one in out:
        if one.key not in standing:
            new.append(one)
    new.sort(key=lambda one: (one.condition.value is None, sign * (one.condition.value or 0.0), one.key))
    room = max(MOST_LABEL_SETS - len(standing), 0)
    return new[:room], len(new[room:])


def _is_open(instance: AlertInstance) -> bool:
    return instance.state in (AlertState.PENDING, AlertState.FIRING)


def _known(rule: AlertRule, found: Sequence[Found]) -> list[AlertInstance]:
    """The rule's alerts that the figures speak of, and those that are open; where silence fires, all of them."""
    rows = AlertInstance.objects.filter(rule=rule)
    if rule.no_data == NoData.FIRE:
        return list(rows)
    is_open = Q(state__in=(AlertState.PENDING, AlertState.FIRING))
    return list(rows.filter(is_open | Q(dedupe_key__in=[one.key for one in found])))


def _all(
    rule: AlertRule, kept: Sequence[Found], known: dict[str, AlertInstance], at: dt.datetime
) -> list[AlertInstance]:
    """Those to be looked at, in one order; what is new has a row."""
    new = [one for one in kept if one.key not in known]
    if new:
        AlertInstance.objects.bulk_create(
            (
                AlertInstance(
                    rule=rule,
                    labels=one.labels,
                    dedupe_key=one.key,
                    since=at,
                    evaluated_at=at - MINUTE,
                    revision=rule.revision,
                )
                for one in sorted(new, key=lambda one: one.key)
            ),
            ignore_conflicts=True,
        )
    looked_at = {one.key for one in kept}
    looked_at |= {key for key, one in known.items() if _is_open(one) or rule.no_data == NoData.FIRE}
    return list(AlertInstance.objects.filter(rule=rule, dedupe_key__in=looked_at).order_by("dedupe_key"))


def _note(rule: AlertRule, at: dt.datetime, label_sets: int, left_out: int) -> None:
    if left_out:
        log.warning("the alert rule %s is out of bounds for %s label sets more than are kept", rule.pk, left_out)
    AlertRuleHealth.objects.update_or_create(
        rule=rule,
        defaults={"evaluated_at": at, "label_sets": label_sets, "left_out": left_out, "error": "", "failed_at": None},
    )


def _note_failure(rule: AlertRule, error: Exception, now: dt.datetime) -> None:
    text = str(error) if isinstance(error, CannotBeAsked) else f"{type(error).__name__}: see the worker's log."
    AlertRuleHealth.objects.update_or_create(rule=rule, defaults={"error": visible(text)[:300], "failed_at": now})
