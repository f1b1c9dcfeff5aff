"""What the first page says of alerts, and of the parts that watch, tell and send on."""

import datetime as dt
from typing import Any

from django.conf import settings
from django.db.models import F

from observatory.dashboard_line import Line
from telemetry.alerts.messages import amount
from telemetry.alerts.silences import silenced
from telemetry.dead_man import NAME as SIGN
from telemetry.dead_man import SWEEPS_STALE
from telemetry.metrics.definitions import METRICS
from telemetry.metrics.rollups import watermark
from telemetry.models import AlertChannel, AlertInstance, AlertRule, AlertState, Heartbeat, SpanExport
from telemetry.wording import ago, seen, span_words

TOP = 10
WORST_FIRST = {AlertRule.Severity.CRITICAL: 0, AlertRule.Severity.WARNING: 1, AlertRule.Severity.INFO: 2}


def firing(user: Any, now: dt.datetime) -> tuple[list[Line] | None, bool]:
    """What fires, the worst and then the newest first; None for those who may not see alerts."""
    if not user.has_perm("telemetry.view_alertinstance"):
        return None, False
    rows = list(AlertInstance.objects.filter(state=AlertState.FIRING).select_related("rule").order_by("-since"))
    rows.sort(key=lambda row: WORST_FIRST[AlertRule.Severity(row.rule.severity)])
    shown, silent = rows[:TOP], silenced(rows[:TOP], now)
    return [_firing_line(row, row.pk in silent) for row in shown], len(rows) > TOP


def _firing_line(row: AlertInstance, is_silenced: bool) -> Line:
    metric = METRICS.get(row.rule.metric)
    unit = metric.unit if metric else ""
    bound = f"{amount(row.value, unit)}, bound {amount(row.rule.threshold, unit)}"
    note = f"since {ago(row.since)}" + (", silenced" if is_silenced else "")
    urgent = row.rule.severity == AlertRule.Severity.CRITICAL and not is_silenced
    return Line(seen(str(row), 90), note, bound, urgent, row)


def watch_lines(user: Any, now: dt.datetime) -> list[Line]:
    """Parts of telemetry that fell behind or fail; no line where all is well."""
    lines = []
    if user.has_perm("telemetry.view_heartbeat"):
        lines += _figures_line(now)
        lines += _sign_line()
    if user.has_perm("telemetry.view_spanexport") and settings.OTLP_ENDPOINT:
        lines += _export_line()
    if user.has_perm("telemetry.view_alertchannel"):
        lines += _channel_lines()
    return lines


def _figures_line(now: dt.datetime) -> list[Line]:
    mark = watermark()
    if mark is None or now - mark <= SWEEPS_STALE:
        return []
    note = f"end {span_words(now - mark)} ago: charts stand still, and no alert can fire"
    return [Line("Figures", note, urgent=True)]


def _sign_line() -> list[Line]:
    """Whoever watches from outside hears nothing, and why."""
    row = Heartbeat.objects.filter(name=SIGN).exclude(error="").first() if settings.HEARTBEAT_URL else None
    return [Line("Sign of life", f"is not given: {seen(row.error, 160)}", urgent=True)] if row else []


def _export_line() -> list[Line]:
    failing = SpanExport.objects.filter(last_failed_at__isnull=False).exclude(sent_at__gte=F("last_failed_at")).first()
    if failing is None or failing.last_failed_at is None:
        return []
    note = f"fails, the last time {ago(failing.last_failed_at)}; nothing is lost: {seen(failing.last_error, 160)}"
    return [Line("Spans to the collector", note, urgent=True, of=("telemetry_spanexport", failing.pk))]


def _channel_lines() -> list[Line]:
    """Channels whose last try failed."""
    failing = AlertChannel.objects.filter(enabled=True, last_failed_at__isnull=False).exclude(
        last_sent_at__gte=F("last_failed_at")
    )
    return [
        Line(
            f"Alerts to {seen(row.name, 60)}",
            f"fail, the last time {ago(row.last_failed_at)}: {seen(row.last_error, 160)}",
            urgent=True,
            of=("telemetry_alertchannel", row.pk),
        )
        for row in failing.order_by("-last_failed_at")[:TOP]
        if row.last_failed_at
    ]
