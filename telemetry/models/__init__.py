from telemetry.models.alert import (
    AlertChannel,
    AlertInstance,
    AlertNotification,
    AlertRule,
    AlertSilence,
    AlertState,
    AlertTransition,
)
from telemetry.models.audit import AuditEvent
from telemetry.models.export import SpanExport
from telemetry.models.heartbeat import Heartbeat
from telemetry.models.payload import Payload
from telemetry.models.price import PriceOverride
from telemetry.models.refusal import RefusalCount
from telemetry.models.rollup import HourRollup, MinuteRollup, RollupWatermark, StaleMinute
from telemetry.models.span import Span

__all__ = (
    "AlertChannel",
    "AlertInstance",
    "AlertNotification",
    "AlertRule",
    "AlertSilence",
    "AlertState",
    "AlertTransition",
    "AuditEvent",
    "Heartbeat",
    "HourRollup",
    "MinuteRollup",
    "Payload",
    "PriceOverride",
    "RefusalCount",
    "RollupWatermark",
    "Span",
    "SpanExport",
    "StaleMinute",
)
