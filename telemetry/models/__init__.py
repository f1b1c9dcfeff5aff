from telemetry.models.alert import AlertInstance, AlertRule, AlertRuleHealth, AlertState, AlertTransition
from telemetry.models.audit import AuditEvent
from telemetry.models.channel import AlertChannel
from telemetry.models.export import SpanExport
from telemetry.models.heartbeat import Heartbeat
from telemetry.models.notification import AlertNotification
from telemetry.models.payload import Payload
from telemetry.models.price import PriceOverride
from telemetry.models.refusal import RefusalCount
from telemetry.models.rollup import HourRollup, MinuteRollup, RollupWatermark, StaleMinute
from telemetry.models.silence import AlertSilence
from telemetry.models.span import Span

__all__ = (
    "AlertChannel",
    "AlertInstance",
    "AlertNotification",
    "AlertRule",
    "AlertRuleHealth",
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
