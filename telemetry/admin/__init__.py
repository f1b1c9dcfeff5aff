"""Records of what happened, to read; and what an operator says of them."""

from telemetry.admin import audit, prices, span_export, spans

__all__ = ("audit", "prices", "span_export", "spans")
from telemetry.admin import alert_channels, alert_rules, alert_silences, alerts

__all__ = ("alert_channels", "alert_rules", "alert_silences", "alerts", "audit", "spans")
