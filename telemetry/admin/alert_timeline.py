"""All alerts over a day or a week, a bar each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Case, Max, Q, Value, When
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from telemetry.admin.alert_charts import bar, ticks
from telemetry.admin.alert_words import labels_words
from telemetry.alerts.preview import DAY, WEEK
from telemetry.clock import database_now
from telemetry.models import AlertInstance, AlertState, AlertTransition
from telemetry.visible import visible

MOST_BARS = 100
OPEN = (AlertState.PENDING, AlertState.FIRING)


def alerts_over_time(request: HttpRequest, site: Any) -> HttpResponse:
    """Which alerts were out of bounds when; what fires now comes first."""
    if not request.user.has_perm("telemetry.view_alertinstance"):
        raise PermissionDenied
    is_week = request.GET.get("past") == "week"
    ends = database_now()
    begins = ends - (WEEK if is_week else DAY)
    rows = _rows(begins)
    context = {
        **site.each_context(request),
        "title": "Alerts over time",
        "bars": bars_of(rows[:MOST_BARS], begins, ends),
        "more": len(rows) > MOST_BARS,
        "times": [text for _, text in ticks(begins, ends)],
        "is_week": is_week,
    }
    return TemplateResponse(request, "telemetry/alert_timeline.html", context)


def _rows(begins: dt.datetime) -> list[AlertInstance]:
    """Alerts that are out of bounds or were since then."""
    changed = Q(transitions__at__gte=begins)
    urgency = Case(
        When(state=AlertState.FIRING, then=Value(0)), When(state=AlertState.PENDING, then=Value(1)), default=2
    )
    return list(
        AlertInstance.objects.filter(changed | Q(state__in=OPEN))
        .annotate(changed_at=Max("transitions__at"))
        .select_related("rule")
        .order_by(urgency, "-changed_at", "pk")[: MOST_BARS + 1]
    )


def bars_of(alerts: Sequence[AlertInstance], begins: dt.datetime, ends: dt.datetime) -> list[dict[str, Any]]:
    """For each alert its name, its page and the bar of its states."""
    moves: dict[int, list[AlertTransition]] = {alert.pk: [] for alert in alerts}
    # As they came: a change of the rule ends what fires now, and the next may fire at the end of an older window.
    for move in AlertTransition.objects.filter(instance__in=list(moves), at__gte=begins).order_by("id"):
        moves[move.instance_id].append(move)
    return [
        {
            "alert": alert,
            "name": visible(alert.rule.name),
            "labels": labels_words(alert.labels),
            "link": reverse("admin:telemetry_alertinstance_change", args=[alert.pk]),
            "bar": bar(begins, ends, _spans(alert, moves[alert.pk], begins, ends), _label(alert, moves[alert.pk])),
        }
        for alert in alerts
    ]


def _spans(
    alert: AlertInstance, moves: Sequence[AlertTransition], begins: dt.datetime, ends: dt.datetime
) -> list[tuple[str, dt.datetime, dt.datetime]]:
    """(state, from, to) of the times out of bounds."""
    found, since = [], begins
    for move in moves:
        if move.was in OPEN:
            found.append((move.was, since, move.at))
        since = move.at
    if alert.state in OPEN:
        found.append((alert.state, since, ends))
    return found


def _label(alert: AlertInstance, moves: Sequence[AlertTransition]) -> str:
    times = sum(1 for move in moves if move.became == AlertState.FIRING)
    return f"{alert.get_state_display()}; it began to fire {'once' if times == 1 else f'{times} times'} in this time."
