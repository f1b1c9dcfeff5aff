"""What people are told of one alert: labels and numbers, and what the rule's own text says. Never content of a call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from telemetry.alerts.step import Standing
from telemetry.metrics.definitions import METRICS, Unit
from telemetry.models import AlertInstance, AlertRule
from telemetry.redaction import redact_text
from telemetry.visible import visible

LONGEST_LABEL = 120
LONGEST_DESCRIPTION = 1_000
LABEL_WORDS = {"service": "service", "model": "model", "tool_name": "tool", "agent": "agent"}


def masked(labels: Mapping[str, Any]) -> dict[str, str]:
    """Labels as they may leave: whoever reports spans chose some of them."""
    return {name: visible(redact_text(str(value), LONGEST_LABEL)) for name, value in labels.items()}


def message_of(rule: AlertRule, instance: AlertInstance, standing: Standing, why: str = "") -> dict[str, Any]:
    """The facts of a message as JSON; telemetry/delivery/ makes each channel's own shape of them."""
    metric = METRICS.get(rule.metric)
    return {
        "rule": visible(rule.name),
        "key": rule.key,
        "description": visible(redact_text(rule.description, LONGEST_DESCRIPTION), block=True),
        "severity": rule.severity,
        "labels": masked(instance.labels),
        "metric": rule.metric,
        "metric_title": metric.title if metric else rule.metric,
        "unit": str(metric.unit) if metric else str(Unit.NUMBER),
        "comparison": rule.comparison,
        "threshold": rule.threshold,
        "window_s": rule.window_s,
        "value": standing.value,
        "samples": standing.samples,
        "started_at": _iso(standing.started_at),
        "since": _iso(standing.since),
        "as_of": _iso(standing.evaluated_at),
        "why": why,
        "environment": visible(settings.ENVIRONMENT),
        "page": page_of(instance),
    }


def page_of(instance: AlertInstance) -> str:
    """Where the alert is seen in admin; empty where the installation does not know its own address."""
    try:
        path = reverse("admin:telemetry_alertinstance_change", args=[instance.pk])
    except NoReverseMatch:
        return ""
    return f"{settings.PUBLIC_URL.rstrip('/')}{path}" if settings.PUBLIC_URL else ""


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.astimezone(dt.UTC).isoformat() if moment else None


def amount(value: float | None, unit: str) -> str:
    """A figure in people's words: 12.5 %, 0.05 USD, 1.20 s, 7."""
    if value is None:
        return "no figure"
    match unit:
        case Unit.RATIO:
            return f"{_short(value * 100)} %"
        case Unit.USD:
            return f"{_short(value)} USD"
        case Unit.SECONDS:
            return f"{_short(value)} s"
        case _:
            return _short(value)


def _short(value: float) -> str:
    """Four significant digits, without zeros at the end and without an exponent where people would not want one."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    text = f"{value:.4g}"
    return text if "e" not in text else f"{value:,.0f}" if abs(value) >= 1 else f"{value:.8f}".rstrip("0")
