"""What is out of bounds now, for programs."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Case, Value, When

from telemetry.alerts.messages import masked
from telemetry.alerts.silences import silenced
from telemetry.metrics.rollups import watermark
from telemetry.models import AlertInstance, AlertState
from telemetry.visible import visible

MOST = 1_000


def active_alerts(now: dt.datetime) -> dict[str, Any]:
    """Shape: as_of, keys (of what fires), alerts (what fires first, then the newest), more (some are left out)."""
    firing_first = Case(When(state=AlertState.FIRING, then=Value(0)), default=Value(1))
    rows = list(AlertInstance.objects.open().select_related("rule").order_by(firing_first, "-since", "pk")[: MOST + 1])
    shown, mark = rows[:MOST], watermark()
    silent = silenced(shown, now)
    firing = {row.rule.key for row in shown if row.state == AlertState.FIRING and row.rule.key}
    return {
        "as_of": mark.isoformat() if mark else None,
        "keys": sorted(firing),
        "alerts": [_one(row, row.pk in silent) for row in shown],
        "more": len(rows) > MOST,
    }


def _one(row: AlertInstance, is_silenced: bool) -> dict[str, Any]:
    rule = row.rule
    return {
        "id": row.dedupe_key,
        "rule": visible(rule.name),
        "key": rule.key,
        "state": row.state,
        "severity": rule.severity,
        "labels": masked(row.labels),
        "metric": rule.metric,
        "value": row.value,
        "comparison": rule.comparison,
        "threshold": rule.threshold,
        "samples": row.samples,
        "since": row.since.isoformat(),
        "evaluated_at": row.evaluated_at.isoformat(),
        "silenced": is_silenced,
    }
