"""Records of what happened, to read; and what operators say of them: prices, alerts, silences."""

from telemetry.admin import (
    alert_channels,
    alert_rules,
    alert_silences,
    alerts,
    audit,
    guardrails,
    prices,
    remote_detectors,
    reports,
    sessions,
    span_export,
    spans,
)

__all__ = (
    "alert_channels",
    "alert_rules",
    "alert_silences",
    "alerts",
    "audit",
    "guardrails",
    "prices",
    "remote_detectors",
    "reports",
    "sessions",
    "span_export",
    "spans",
)
