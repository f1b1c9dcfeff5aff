from telemetry.models.alert import AlertInstance, AlertRule, AlertRuleHealth, AlertState, AlertTransition
from telemetry.models.audit import AuditEvent
from telemetry.models.channel import AlertChannel
from telemetry.models.export import SpanExport
from telemetry.models.guardrail import GuardrailSettings, KeptSignal, RemoteDetector
from telemetry.models.heartbeat import Heartbeat
from telemetry.models.notification import AlertNotification
from telemetry.models.payload import Payload
from telemetry.models.price import PriceOverride
from telemetry.models.refusal import RefusalCount
from telemetry.models.report import Report, ReportPart
from telemetry.models.rollup import HourRollup, MinuteRollup, RollupWatermark, StaleMinute
from telemetry.models.session import Session
from telemetry.models.silence import AlertSilence
from telemetry.models.span import Span
from telemetry.models.step import Step

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
    "GuardrailSettings",
    "Heartbeat",
    "HourRollup",
    "KeptSignal",
    "MinuteRollup",
    "Payload",
    "PriceOverride",
    "RefusalCount",
    "RemoteDetector",
    "Report",
    "ReportPart",
    "RollupWatermark",
    "Session",
    "Span",
    "SpanExport",
    "StaleMinute",
    "Step",
)
